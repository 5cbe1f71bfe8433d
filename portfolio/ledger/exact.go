package ledger

import (
	"math/big"

	"github.com/shopspring/decimal"
)

var (
	one = big.NewInt(1)
	two = big.NewInt(2)
	ten = big.NewInt(10)
)

// Exact is a fraction that is never rounded and, unlike big.Rat, never reduced: selling part of an
// average pool multiplies its denominator, and a greatest common divisor at each step would make
// long chains quadratic. The zero value is 0. Exacts are immutable.
type Exact struct{ num, den *big.Int } // den > 0; nil num is 0, nil den is 1

// FromDecimal is d as a fraction.
func FromDecimal(d decimal.Decimal) Exact {
	if d.Exponent() >= 0 {
		return Exact{num: scaled(d, 0)}
	}
	return Exact{num: d.Coefficient(), den: pow10(-d.Exponent())}
}

// Fraction is num/den; den must be positive.
func Fraction(num, den *big.Int) Exact { return Exact{num: num, den: den} }

// IsZero tells whether e is 0.
func (e Exact) IsZero() bool { return e.num == nil || e.num.Sign() == 0 }

// Sign is -1, 0 or 1.
func (e Exact) Sign() int {
	if e.num == nil {
		return 0
	}
	return e.num.Sign()
}

func (e Exact) parts() (num, den *big.Int) {
	num, den = e.num, e.den
	if num == nil {
		num = new(big.Int)
	}
	if den == nil {
		den = one
	}
	return num, den
}

// Add is e + f.
func (e Exact) Add(f Exact) Exact {
	if e.IsZero() {
		return f
	}
	if f.IsZero() {
		return e
	}
	en, ed := e.parts()
	fn, fd := f.parts()
	if ed.Cmp(fd) == 0 {
		return Exact{num: new(big.Int).Add(en, fn), den: ed}
	}
	num := new(big.Int).Mul(en, fd)
	num.Add(num, new(big.Int).Mul(fn, ed))
	return Exact{num: num, den: new(big.Int).Mul(ed, fd)}
}

// Neg is -e.
func (e Exact) Neg() Exact {
	if e.num == nil {
		return e
	}
	return Exact{num: new(big.Int).Neg(e.num), den: e.den}
}

// Sub is e - f.
func (e Exact) Sub(f Exact) Exact { return e.Add(f.Neg()) }

// Mul is e · f.
func (e Exact) Mul(f Exact) Exact {
	if e.IsZero() || f.IsZero() {
		return Exact{}
	}
	en, ed := e.parts()
	fn, fd := f.parts()
	return Exact{num: new(big.Int).Mul(en, fn), den: new(big.Int).Mul(ed, fd)}
}

// Quo is e / f; f must not be 0.
func (e Exact) Quo(f Exact) Exact {
	fn, fd := f.parts()
	if fn.Sign() < 0 {
		return e.Mul(Exact{num: new(big.Int).Neg(fd), den: new(big.Int).Neg(fn)})
	}
	return e.Mul(Exact{num: fd, den: fn})
}

// Abs is |e|.
func (e Exact) Abs() Exact {
	if e.Sign() < 0 {
		return e.Neg()
	}
	return e
}

// Cmp compares e with f.
func (e Exact) Cmp(f Exact) int { return e.Sub(f).Sign() }

// Rat is e in lowest terms.
func (e Exact) Rat() *big.Rat {
	num, den := e.parts()
	return new(big.Rat).SetFrac(num, den)
}

// Float is the nearest float, for statistics; never for money.
func (e Exact) Float() float64 {
	num, den := e.parts()
	if num.BitLen() < 900 && den.BitLen() < 900 {
		n, _ := new(big.Float).SetInt(num).Float64()
		d, _ := new(big.Float).SetInt(den).Float64()
		return n / d
	}
	f, _ := new(big.Float).Quo(new(big.Float).SetPrec(64).SetInt(num), new(big.Float).SetPrec(64).SetInt(den)).Float64()
	return f
}

// Round is e with places decimals, half away from zero (rule 1).
func (e Exact) Round(places int32) decimal.Decimal {
	if e.IsZero() {
		return decimal.New(0, -places)
	}
	num, den := e.parts()
	// ⌊(2·|num|·10^places + den) / (2·den)⌋ with the sign put back
	n := new(big.Int).Abs(num)
	n.Mul(n, pow10(places)).Mul(n, two).Add(n, den)
	n.Quo(n, new(big.Int).Mul(den, two))
	if num.Sign() < 0 {
		n.Neg(n)
	}
	return decimal.NewFromBigInt(n, -places)
}

// Floor is the greatest whole number that is not above e.
func (e Exact) Floor() *big.Int {
	num, den := e.parts()
	return new(big.Int).Div(num, den) // den > 0: Div rounds down
}

// Digits is e to so many significant digits, for unit prices and rates, without trailing zeros.
func (e Exact) Digits(significant int32) decimal.Decimal {
	if e.IsZero() {
		return decimal.Zero
	}
	num, den := e.parts()
	n, d := new(big.Int).Abs(num), den
	magnitude := int32(len(new(big.Int).Quo(n, d).String()))
	if n.Cmp(d) < 0 { // below 1: count the zeros behind the point
		magnitude = 1 - int32(len(new(big.Int).Quo(d, n).String()))
	}
	places := max(significant-magnitude, 0)
	return trim(e.Round(places))
}

// Decimal is e where it has at most places decimals, else rounded to them; without trailing zeros.
func (e Exact) Decimal(places int32) decimal.Decimal { return trim(e.Round(places)) }

func trim(d decimal.Decimal) decimal.Decimal {
	c, exp := d.Coefficient(), d.Exponent()
	var rest big.Int
	for exp < 0 && c.Sign() != 0 {
		q, _ := new(big.Int).QuoRem(c, ten, &rest)
		if rest.Sign() != 0 {
			break
		}
		c, exp = q, exp+1
	}
	if c.Sign() == 0 {
		return decimal.Zero
	}
	return decimal.NewFromBigInt(c, exp)
}

// Sum adds in a tree: many long denominators are multiplied in balanced pairs.
func Sum(list ...Exact) Exact {
	switch len(list) {
	case 0:
		return Exact{}
	case 1:
		return list[0]
	}
	return Sum(list[:len(list)/2]...).Add(Sum(list[len(list)/2:]...))
}

var pow10s = func() (p [128]*big.Int) {
	p[0] = big.NewInt(1)
	for i := 1; i < len(p); i++ {
		p[i] = new(big.Int).Mul(p[i-1], ten)
	}
	return p
}()

// pow10 is 10^n; callers must not change it.
func pow10(n int32) *big.Int {
	if int(n) < len(pow10s) {
		return pow10s[n]
	}
	return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil)
}

// scaled is d·10^scale, which must be whole.
func scaled(d decimal.Decimal, scale int32) *big.Int {
	c := d.Coefficient()
	if up := scale + d.Exponent(); up > 0 {
		c.Mul(c, pow10(up))
	}
	return c
}
