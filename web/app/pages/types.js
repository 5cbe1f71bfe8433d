/** The kinds of transaction, and what people call them. */
export const types = /** @type {[string, string][]} */ ([['buy', 'Buy'], ['sell', 'Sell'], ['dividend', 'Dividend'], ['interest', 'Interest'], ['fee', 'Fee'], ['tax', 'Tax'], ['deposit', 'Deposit'], ['withdrawal', 'Withdrawal'],
  ['transfer_in', 'Transfer in'], ['transfer_out', 'Transfer out'], ['stock_dividend', 'Stock dividend'], ['return_of_capital', 'Return of capital'], ['reward', 'Reward'], ['adjustment', 'Adjustment']]);
