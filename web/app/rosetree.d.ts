/**
 * Rosetree's client: one socket, reconnecting, always the newest value and never a queue.
 * Protocol: /docs. Apache-2.0.
 *
 * @typedef {'idle'|'connecting'|'live'|'stalled'|'waiting'|'suspended'|'ended'} State
 * @typedef {{reason:string, code:number, by?:string|null, at?:string|null, text?:string}} End  why there will be no other connection; text: what an administrator wrote for the user
 * @typedef {{s:string, p:string, t:number, n:number}} Quote
 * @typedef {{symbol:string} & Record<string, any>} Holding
 * @typedef {Record<string, any>} Message
 * @typedef {object} Options
 * @property {() => (string|undefined|Promise<string|undefined>)} [getToken] a ticket for the next connection; left out: the cookie
 * @property {() => (End|null|Promise<End|null>)} [refused] asked when a socket would not open: an end, or null to go on trying
 * @property {{min?:number, max?:number}} [backoff] milliseconds, 250 to 15,000 with full jitter
 * @property {{ping?:number, stalled?:number, dead?:number, hidden?:number}|false} [lifecycle] milliseconds; false: the caller drives
 * @property {any} [WebSocket]
 */
export type State = 'idle' | 'connecting' | 'live' | 'stalled' | 'waiting' | 'suspended' | 'ended';
export type End = {
    reason: string;
    code: number;
    by?: string | null;
    at?: string | null;
    text?: string;
};
export type Quote = {
    s: string;
    p: string;
    t: number;
    n: number;
};
export type Holding = {
    symbol: string;
} & Record<string, any>;
export type Message = Record<string, any>;
export type Options = {
    /**
     * a ticket for the next connection; left out: the cookie
     */
    getToken?: () => (string | undefined | Promise<string | undefined>);
    /**
     * asked when a socket would not open: an end, or null to go on trying
     */
    refused?: () => (End | null | Promise<End | null>);
    /**
     * milliseconds, 250 to 15,000 with full jitter
     */
    backoff?: {
        min?: number;
        max?: number;
    };
    /**
     * milliseconds; false: the caller drives
     */
    lifecycle?: {
        ping?: number;
        stalled?: number;
        dead?: number;
        hidden?: number;
    } | false;
    WebSocket?: any;
};
/** An error that the server answered, or `connection_lost` or `timeout` from here. */
export declare class RosetreeError extends Error {
    code: string;
    field: string | undefined;
    /** @param {{code:string, message:string, field?:string}} e */
    constructor(e: {
        code: string;
        message: string;
        field?: string;
    });
}
declare class Emitter {
    #private;
    /** @param {string} event @param {(value:any) => void} fn @returns {() => void} turns it off */
    on(event: string, fn: (value: any) => void): () => void;
    /** @param {string} event @param {any} [value] */
    emit(event: string, value?: any): void;
}
/** What was subscribed; for await gives what is new since the last turn, merged, never a backlog. */
declare class Stream extends Emitter {
    close: () => void;
    closed: boolean;
    /** @param {() => void} stop */
    constructor(stop: () => void);
    /** @returns {any} what changed since it was last asked, or undefined */
    take(): any;
    [Symbol.asyncIterator](): AsyncGenerator<any, void, unknown>;
}
/** Events: snapshot, update (both Quote[]), rejected. */
export declare class Prices extends Stream {
    #private;
    symbols: Set<string>;
    maxHz: number | undefined;
    /** @type {Map<string, Quote>} */ latest: Map<string, Quote>;
    /** @param {Set<string>} symbols @param {number|undefined} maxHz @param {(p:Prices) => void} stop */
    constructor(symbols: Set<string>, maxHz: number | undefined, stop: (p: Prices) => void);
    /** @param {Quote[]} updates @param {boolean} snapshot */
    apply(updates: Quote[], snapshot: boolean): void;
    /** @param {{symbol:string}[]} rejected of all that was asked for */
    refused(rejected: {
        symbol: string;
    }[]): void;
    take(): Quote[] | undefined;
}
/** Events: snapshot, resync (a snapshot after a gap), change, valuation, gone. `holdings` is always whole. */
export declare class Portfolio extends Stream {
    #private;
    id: string;
    version: number;
    /** @type {Map<string, Holding>} */ holdings: Map<string, Holding>;
    /** @type {Record<string, any>} */ totals: Record<string, any>;
    /** @param {string} id @param {() => void} stop */
    constructor(id: string, stop: () => void);
    /** @param {Message} m */
    apply(m: Message): void;
    take(): {
        version: number;
        holdings: Holding[];
        totals: Record<string, any>;
    } | undefined;
}
/** Events: state (State), ended (End), notice, welcome, reauth, message (every one), error (of what was asked without an answer). */
export declare class Rosetree extends Emitter {
    #private;
    url: string;
    options: Options;
    life: {
        ping: number;
        stalled: number;
        dead: number;
        hidden: number;
    };
    /** @type {State} */ state: State;
    /** When the next attempt is due, in Unix milliseconds, while waiting. */ retryAt: number;
    /** The last measured round trip in milliseconds. */ rtt: number;
    /** When anything was last heard, in Unix milliseconds. */ heardAt: number;
    /** @type {Message|null} */ welcome: Message | null;
    /** @param {string} url ws: or wss:, or a path of this page's origin @param {Options} [options] */
    constructor(url: string, options?: Options);
    connect(): this;
    /** Tries now instead of at retryAt. */
    reconnect(): void;
    /** @param {Iterable<string>} symbols ['*'] for all @param {{maxHz?:number}} [options] */
    prices(symbols: Iterable<string>, { maxHz }?: {
        maxHz?: number;
    }): Prices;
    /** @param {string} id */
    portfolio(id: string): Portfolio;
    /** Follows notices, or for admins sessions, rollout, overview, health or audit; what comes is emitted under its message's type. @param {string} channel */
    follow(channel: string): () => void;
    /**
     * Calls an operation. With an idempotency key it is sent again after a reconnect; without one it then fails
     * with `connection_lost`, because nobody can say whether it happened.
     * @param {string} method @param {object} [params] @param {{idempotencyKey?:string, timeout?:number}} [options] @returns {Promise<any>}
     */
    call(method: string, params?: object, { idempotencyKey, timeout }?: {
        idempotencyKey?: string;
        timeout?: number;
    }): Promise<any>;
    /** Renews the socket's credentials in place. @param {string} token */
    auth(token: string): void;
    /** No data until resume, which brings snapshots. */
    suspend(): void;
    resume(): void;
    /** Closes for good. */
    close(): void;
}
export {};
