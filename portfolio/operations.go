package portfolio

import (
	"rosetree/auth"
	"rosetree/internal/api"
)

// Operations are what clients can ask of portfolios, over HTTP and on the socket.
func (s *Service) Operations() []api.Operation[auth.Principal] {
	return []api.Operation[auth.Principal]{
		api.Op("portfolio.list", "GET", "/api/portfolios", s.listPortfolios),
		api.Op("portfolio.create", "POST", "/api/portfolios", s.createPortfolio),
		api.Op("portfolio.get", "GET", "/api/portfolios/{portfolio}", s.getPortfolio),
		api.Op("portfolio.update", "PATCH", "/api/portfolios/{portfolio}", s.updatePortfolio),
		api.Op("portfolio.delete", "DELETE", "/api/portfolios/{portfolio}", s.deletePortfolio),
		api.Op("portfolio.holdings", "GET", "/api/portfolios/{portfolio}/holdings", s.holdings),
		api.Op("portfolio.history", "GET", "/api/portfolios/{portfolio}/history", s.history),
		api.Op("portfolio.performance", "GET", "/api/portfolios/{portfolio}/performance", s.performance),
		api.Op("portfolio.allocation", "GET", "/api/portfolios/{portfolio}/allocation", s.allocation),
		api.Op("portfolio.income", "GET", "/api/portfolios/{portfolio}/income", s.income),
		api.Op("portfolio.contribution", "GET", "/api/portfolios/{portfolio}/contribution", s.contribution),
		api.Op("account.list", "GET", "/api/portfolios/{portfolio}/accounts", s.listAccounts),
		api.Op("account.add", "POST", "/api/portfolios/{portfolio}/accounts", s.addAccount),
		api.Op("account.update", "PATCH", "/api/portfolios/{portfolio}/accounts/{account}", s.updateAccount),
		api.Op("account.delete", "DELETE", "/api/portfolios/{portfolio}/accounts/{account}", s.deleteAccount),
		api.Op("transaction.list", "GET", "/api/portfolios/{portfolio}/transactions", s.listTransactions),
		api.Op("transaction.add", "POST", "/api/portfolios/{portfolio}/transactions", s.addTransaction),
		api.Op("transaction.update", "PATCH", "/api/portfolios/{portfolio}/transactions/{transaction}", s.updateTransaction),
		api.Op("transaction.delete", "DELETE", "/api/portfolios/{portfolio}/transactions/{transaction}", s.deleteTransaction),
		api.Op("transaction.undo", "POST", "/api/portfolios/{portfolio}/transactions/{transaction}/undo", s.undoTransaction),
		api.Op("import.list", "GET", "/api/portfolios/{portfolio}/imports", s.listImports),
		api.Op("import.undo", "DELETE", "/api/portfolios/{portfolio}/imports/{import}", s.undoImport),
		api.Op("import.template.list", "GET", "/api/import-templates", s.listTemplates),
		api.Op("import.template.save", "PUT", "/api/import-templates/{name}", s.saveTemplate),
		api.Op("import.template.delete", "DELETE", "/api/import-templates/{name}", s.deleteTemplate),
		api.Op("grant.list", "GET", "/api/portfolios/{portfolio}/grants", s.listGrants),
		api.Op("grant.add", "POST", "/api/portfolios/{portfolio}/grants", s.addGrant),
		api.Op("grant.delete", "DELETE", "/api/portfolios/{portfolio}/grants/{grant}", s.deleteGrant),
	}
}
