package prices

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// largestAnswer bounds what is read of an answer: a thousand candles are 200 kB, the ECB's quarter of a year 100 kB.
const largestAnswer = 4 << 20

// fetch gets an address of a source. One that wants to be left alone is an error of kind *throttled.
func fetch(ctx context.Context, source, address string, leastPatience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if tooMany(res) {
		return nil, &throttled{patienceFor(res, leastPatience), source + ": " + res.Status}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, largestAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", source, res.Status, shortened(string(body)))
	}
	return body, err
}

// tooMany: Binance bans with 418 who goes on after 429.
func tooMany(r *http.Response) bool {
	return r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusTeapot
}

// patienceFor is how long to leave a source alone: what it says, but no longer than an hour.
func patienceFor(r *http.Response, least time.Duration) time.Duration {
	seconds, _ := strconv.Atoi(r.Header.Get("Retry-After")) // 0 where it does not say
	return max(least, min(time.Duration(seconds)*time.Second, time.Hour))
}
