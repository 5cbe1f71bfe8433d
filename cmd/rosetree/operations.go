package main

import (
	"net/http"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/prices"
)

// operations is everything that a client can ask for, over HTTP and on the socket.
type operations []api.Operation[auth.Principal]

func newOperations(callers *auth.Auth, db *auth.DB, market *prices.Service, portfolios *portfolio.Service) operations {
	all := append(operations(callers.Operations()), portfolios.Operations()...)
	for _, o := range market.UserOperations() {
		all = append(all, api.As(o, func(p auth.Principal) (prices.Owner, error) { return ownerOf(db, p), nil }))
	}
	for _, o := range market.Operations() {
		all = append(all, api.As(o, anyone))
	}
	for _, o := range market.FeedOperations() {
		all = append(all, api.As(o, feedsOnly))
	}
	return all
}

// ownerOf is a caller as the prices room knows one: an id, and the rows that are theirs.
func ownerOf(db *auth.DB, p auth.Principal) prices.Owner {
	return prices.Owner{ID: string(p.User), Rows: db.As(p)}
}

// anyone lets every caller at what belongs to nobody.
func anyone(auth.Principal) (struct{}, error) { return struct{}{}, nil }

// feedsOnly lets programs that deliver prices, and admins, write them.
func feedsOnly(p auth.Principal) (struct{}, error) {
	if p.Role == auth.RoleFeed || p.Role == auth.RoleAdmin && !p.Degraded {
		return struct{}{}, nil
	}
	return struct{}{}, api.Forbidden("only the feed role and admins may write prices")
}

func (all operations) mount(mux *http.ServeMux, authenticate func(*http.Request) (auth.Principal, error)) {
	for _, o := range all {
		if o.Path == "" {
			continue // the socket's alone; over HTTP it sets cookies and is a route of its own
		}
		mux.Handle(o.Method+" "+o.Path, o.Handler(authenticate))
	}
}

func (all operations) byName() map[string]api.Operation[auth.Principal] {
	named := make(map[string]api.Operation[auth.Principal], len(all))
	for _, o := range all {
		named[o.Name] = o
	}
	return named
}
