package portfolio

import (
	"math/big"
	"math/bits"
	"strconv"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/ledger"
)

// The tick path counts in whole numbers: units and prices in 1e-8, their product in 1e-16, rates in 1e-12,
// and so the base currency in 1e-28. Products have 128 bits: half a billion of the base currency fits.
// What does not fit takes the exact path (rule 1).
const (
	unitScale  = 8
	valueScale = 2 * unitScale
	rateScale  = 12
	baseScale  = valueScale + rateScale
)

// fixed is a 128-bit whole number in two's complement.
type fixed struct {
	hi int64
	lo uint64
}

// product is a·b.
func product(a, b int64) fixed {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return fixed{int64(hi) - (a>>63)&b - (b>>63)&a, lo}
}

// plus is f + g, which must fit: sums of values that fit by far.
func (f fixed) plus(g fixed) fixed {
	lo, carry := bits.Add64(f.lo, g.lo, 0)
	return fixed{f.hi + g.hi + int64(carry), lo}
}

func (f fixed) minus(g fixed) fixed {
	lo, borrow := bits.Sub64(f.lo, g.lo, 0)
	return fixed{f.hi - g.hi - int64(borrow), lo}
}

func (f fixed) neg() fixed { return fixed{}.minus(f) }

// small tells whether sums and differences of some values like f cannot overflow.
func (f fixed) small() bool { return f.hi < 1<<58 && f.hi > -1<<58 }

func (f fixed) abs() (hi, lo uint64) {
	if f.hi < 0 {
		f = f.neg()
	}
	return uint64(f.hi), f.lo
}

// times is f·r for r ≥ 0; ok is false where it has no room.
func (f fixed) times(r int64) (fixed, bool) {
	hi, lo := f.abs()
	carry, low := bits.Mul64(lo, uint64(r))
	over, high := bits.Mul64(hi, uint64(r))
	high, c := bits.Add64(high, carry, 0)
	if over != 0 || c != 0 || high >= 1<<62 {
		return fixed{}, false
	}
	p := fixed{int64(high), low}
	if f.hi < 0 {
		p = p.neg()
	}
	return p, true
}

// exact is f·10^-scale as a fraction.
func (f fixed) exact(scale int32) ledger.Exact {
	if f == (fixed{}) {
		return ledger.Exact{}
	}
	hi, lo := f.abs()
	n := new(big.Int).SetUint64(hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(lo))
	if f.hi < 0 {
		n.Neg(n)
	}
	return ledger.Fraction(n, pow10big[scale])
}

var pow10big = map[int32]*big.Int{valueScale: big.NewInt(1e16), baseScale: new(big.Int).Exp(big.NewInt(10), big.NewInt(baseScale), nil)}

var pow10u = [20]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// round is f without its last digits, half away from zero; ok is false where the result has more than 63 bits.
func (f fixed) round(digits int) (n int64, ok bool) {
	hi, lo := f.abs()
	negative := f.hi < 0
	first := digits / 2
	hi, lo, _ = divide(hi, lo, pow10u[first])
	hi, lo, rest := divide(hi, lo, pow10u[digits-first])
	// What the first division dropped is less than one of the second's units, so it cannot make a half.
	if digits > first && rest*2 >= pow10u[digits-first] {
		lo++
	}
	if hi != 0 || lo >= 1<<63 {
		return 0, false
	}
	if negative {
		return -int64(lo), true
	}
	return int64(lo), true
}

func divide(hi, lo, by uint64) (qhi, qlo, rest uint64) {
	qhi, rest = hi/by, hi%by
	qlo, rest = bits.Div64(rest, lo, by)
	return qhi, qlo, rest
}

// constant is an exact number as the tick path needs it: whole, rounded down, and whether anything was
// cut off. Numbers between two whole ones round like any other number between them, so that nothing is lost.
type constant struct {
	floor fixed
	more  bool // the exact number is above floor, by less than one
	ok    bool // it is known, and fits
	null  bool // it is not known
}

func newConstant(a ledger.Amount, scale int32) constant {
	if !a.Known() {
		return constant{null: true}
	}
	scaled := a.Value.Mul(ledger.FromDecimal(decimal.New(1, scale)))
	floor := scaled.Floor()
	f, ok := toFixed(floor)
	return constant{floor: f, more: scaled.Cmp(ledger.Fraction(floor, big.NewInt(1))) != 0, ok: ok && f.small()}
}

func toFixed(n *big.Int) (fixed, bool) {
	if n.BitLen() > 126 {
		return fixed{}, false
	}
	var words [2]uint64
	mask := new(big.Int).SetUint64(^uint64(0))
	m := new(big.Int).Abs(n)
	words[0] = new(big.Int).And(m, mask).Uint64()
	words[1] = new(big.Int).Rsh(m, 64).Uint64()
	f := fixed{int64(words[1]), words[0]}
	if n.Sign() < 0 {
		f = f.neg()
	}
	return f, true
}

// less is v − c, so that round treats it like the exact difference: one that lies between y−1 and y is
// rounded like its end that is nearer to zero.
func (v fixed) less(c constant) fixed {
	y := v.minus(c.floor)
	if c.more && (y.hi > 0 || y.hi == 0 && y.lo > 0) {
		return y.minus(fixed{0, 1})
	}
	return y
}

// units is d in 1e-8; ok is false where that is not exact, or does not fit.
func units(d decimal.Decimal) (n int64, ok bool) { return whole(d, unitScale) }

func whole(d decimal.Decimal, scale int32) (n int64, ok bool) {
	if d.Exponent() > 20 || d.Exponent() < -60 {
		return 0, false
	}
	shifted := d.Shift(scale)
	if !shifted.IsInteger() {
		return 0, false
	}
	b := shifted.BigInt()
	return b.Int64(), b.BitLen() <= 62
}

// appendFixed writes n·10^-places.
func appendFixed(b []byte, n int64, places int) []byte {
	u := uint64(n)
	if n < 0 {
		b, u = append(b, '-'), -u
	}
	b = strconv.AppendUint(b, u/pow10u[places], 10)
	if places == 0 {
		return b
	}
	rest := u % pow10u[places]
	if places == 2 { // most currencies: a division by a constant is a multiplication
		return append(b, '.', byte('0'+rest/10), byte('0'+rest%10))
	}
	b = append(b, '.')
	for ; places > 0; places-- {
		b = append(b, byte('0'+rest/pow10u[places-1]%10))
	}
	return b
}
