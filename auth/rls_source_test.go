package auth

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statement is a query that ships: it stands in the source as the first string of a call that sends SQL.
type statement struct{ at, sql string }

var rooms = []string{"auth", "prices", "portfolio", "hub", "cmd/rosetree"}

// forwarders pass on what others have written; the calls that reach them are looked at where they stand.
var forwarders = []string{"auth/db.go", "auth/dbtx.go", "auth/dblisten.go"}

// built are the functions that put a query together in a way that only running them shows.
var built = map[string]func() string{"exportSQL": exportSQL}

var looksLikeSQL = regexp.MustCompile(`(?is)^\s*(select|insert|update|delete|with|merge)\b.*\bapp\.`)

// source is one room's code.
type source struct {
	fset   *gotoken.FileSet
	consts map[string]ast.Expr
	funcs  map[string][]*ast.FuncDecl
	calls  map[string][]call
}

type call struct {
	*ast.CallExpr
	in *ast.FuncDecl
}

// shipped reads every room's source and returns each query in each of its forms. A call whose query cannot be told is in unknown.
func shipped(t *testing.T) (all []statement, unknown []string) {
	t.Helper()
	for _, room := range rooms {
		s := readSource(t, room)
		for _, method := range []string{"Queue", "Exec", "Query", "QueryRow"} {
			for _, c := range s.calls[method] {
				at := strings.TrimPrefix(s.fset.Position(c.Pos()).String(), "../")
				argument := queryOf(method, c)
				if file, _, _ := strings.Cut(at, ":"); argument == nil || slices.Contains(forwarders, file) {
					continue
				}
				forms, known := s.values(argument, c.in, 0)
				if !known {
					unknown = append(unknown, at)
				}
				for _, sql := range forms {
					if looksLikeSQL.MatchString(sql) {
						all = append(all, statement{at, sql})
					}
				}
			}
		}
	}
	return all, unknown
}

func readSource(t *testing.T, room string) *source {
	t.Helper()
	s := &source{fset: gotoken.NewFileSet(), consts: map[string]ast.Expr{}, funcs: map[string][]*ast.FuncDecl{}, calls: map[string][]call{}}
	paths, _ := filepath.Glob(filepath.Join("..", room, "*.go"))
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, _ := decl.(*ast.FuncDecl)
			if f != nil {
				s.funcs[f.Name.Name] = append(s.funcs[f.Name.Name], f)
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if len(n.Values) == len(n.Names) {
							s.consts[name.Name] = n.Values[i]
						}
					}
				case *ast.CallExpr:
					if name := calledName(n.Fun); name != "" {
						s.calls[name] = append(s.calls[name], call{n, f})
					}
				}
				return true
			})
		}
	}
	return s
}

func calledName(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	case *ast.IndexExpr:
		return calledName(fun.X)
	}
	return ""
}

// queryOf is the argument of c that is SQL; nil: c sends none, as AuditEntry.Queue(&b), whose own text stands in it, and a batch's
// callbacks.
func queryOf(method string, c call) ast.Expr {
	if method != "Queue" {
		if len(c.Args) < 2 {
			return nil
		}
		return c.Args[1] // after ctx
	}
	receiver := c.Fun.(*ast.SelectorExpr).X
	switch receiver.(type) {
	case *ast.CompositeLit, *ast.CallExpr:
		return nil
	}
	if _, address := c.Args[0].(*ast.UnaryExpr); address {
		return nil
	}
	return c.Args[0]
}

// values are the strings that e may be in fn: of literals, constants, local variables, parameters (as every caller gives them) and
// results of the room's own functions. known is false where some may be missing.
func (s *source) values(e ast.Expr, fn *ast.FuncDecl, depth int) (all []string, known bool) {
	if depth > 8 {
		return nil, false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return []string{text}, err == nil
	case *ast.ParenExpr:
		return s.values(e.X, fn, depth)
	case *ast.Ident:
		return s.named(e.Name, fn, depth+1)
	case *ast.BinaryExpr:
		left, ok1 := s.values(e.X, fn, depth)
		right, ok2 := s.values(e.Y, fn, depth)
		for _, l := range left {
			for _, r := range right {
				all = append(all, l+r)
			}
		}
		return all, ok1 && ok2
	case *ast.IndexExpr: // map[bool]string{…}[x]
		if literal, ok := e.X.(*ast.CompositeLit); ok {
			known, all = true, []string{""}
			for _, element := range literal.Elts {
				more, ok := s.values(element.(*ast.KeyValueExpr).Value, fn, depth)
				all, known = append(all, more...), known && ok
			}
			return all, known
		}
	case *ast.CallExpr:
		if name := calledName(e.Fun); built[name] != nil {
			return []string{built[name]()}, true
		} else if name == "string" {
			return s.values(e.Args[0], fn, depth)
		} else {
			return s.results(name, 0, depth+1)
		}
	}
	return nil, false
}

// named is a local variable, a parameter or a constant.
func (s *source) named(name string, fn *ast.FuncDecl, depth int) (all []string, known bool) {
	found, known := false, true
	add := func(values []string, ok bool) { found, known, all = true, known && ok, append(all, values...) }
	if fn != nil {
		if at := parameter(fn, name); at >= 0 {
			for _, c := range s.calls[fn.Name.Name] {
				if at < len(c.Args) {
					add(s.values(c.Args[at], c.in, depth))
				}
			}
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if set, ok := n.(*ast.AssignStmt); ok {
				for i, left := range set.Lhs {
					if id, ok := left.(*ast.Ident); !ok || id.Name != name {
						continue
					}
					switch c, isCall := set.Rhs[0].(*ast.CallExpr); {
					case set.Tok == gotoken.ADD_ASSIGN:
						more, ok := s.values(set.Rhs[0], fn, depth)
						before := slices.Clone(all)
						if slices.Contains(fn.Body.List, ast.Stmt(set)) {
							all = nil // it is always added
						}
						for _, base := range before {
							for _, m := range more {
								all = append(all, base+m)
							}
						}
						known = known && ok
					case len(set.Rhs) == len(set.Lhs):
						add(s.values(set.Rhs[i], fn, depth))
					case isCall:
						add(s.results(calledName(c.Fun), i, depth))
					}
				}
			}
			return true
		})
	}
	if value, ok := s.consts[name]; ok && !found {
		add(s.values(value, nil, depth))
	}
	return all, known && found
}

func parameter(fn *ast.FuncDecl, name string) int {
	at := 0
	for _, field := range fn.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name {
				return at
			}
			at++
		}
	}
	return -1
}

// results are what a function of the room may return at place i.
func (s *source) results(name string, i, depth int) (all []string, known bool) {
	if len(s.funcs[name]) != 1 {
		return nil, false
	}
	f := s.funcs[name][0]
	known = true
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && i < len(r.Results) {
			more, ok := s.values(r.Results[i], f, depth)
			all, known = append(all, more...), known && ok
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return all, known && len(all) > 0
}
