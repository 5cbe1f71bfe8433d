package prices

import (
	"hash/fnv"
	"math"
	"time"
)

// noise is a random walk that can be asked for any moment: the same seed and moment always give the
// same value, so that a restart continues the price, servers agree, and the closes of past days are
// those that the live path ends on. It is fractal value noise: octave k has a random height every 2^k
// seconds, weighted by √2^k as in Brownian motion, joined smoothly.
type noise struct {
	seed uint64
	vol  float64 // standard deviation of a year's log return, roughly
}

const (
	octaves = 26 // the slowest has a height about every year
	year    = 365.25 * 24 * 3600
)

func newNoise(seed uint64, s Symbol, vol float64) noise {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return noise{seed: mix(seed ^ h.Sum64()), vol: vol}
}

// at is the log of the walk's factor at t.
func (n noise) at(t time.Time) float64 {
	seconds := float64(t.UnixNano()) / 1e9
	sum := 0.0
	for k := range octaves {
		span := float64(uint64(1) << k)
		sum += math.Sqrt(span/year) * n.octave(k, seconds/span)
	}
	return n.vol * sum
}

func (n noise) octave(k int, x float64) float64 {
	i := math.Floor(x)
	f := x - i
	f = f * f * (3 - 2*f)
	a, b := n.height(k, int64(i)), n.height(k, int64(i)+1)
	return a + (b-a)*f
}

// height is a number in [-1, 1).
func (n noise) height(k int, i int64) float64 {
	h := mix(n.seed ^ mix(uint64(k)<<56^uint64(i)))
	return float64(int64(h)) / (1 << 63)
}

// unit is a number in [0, 1) that belongs to i.
func (n noise) unit(i int64) float64 { return (n.height(63, i) + 1) / 2 }

// mix is splitmix64's finaliser.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
