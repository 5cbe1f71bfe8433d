// Package portfolio knows what each user owns and what it is worth. Every query runs in its owner's
// row level security context; every figure follows a rule of docs/portfolio-rules.md, and is exact or null.
package portfolio
