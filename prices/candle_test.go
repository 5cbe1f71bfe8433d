package prices

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTicksBecomeMinutesAndMinutesBecomeLongerCandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(utc("2026-11-20 23:57:00")))
		b := testBook()
		tape := newTape(b)
		b.Listen(tape.hear)
		for i := range 360 { // six minutes, over midnight
			b.Apply([]Tick{tick("BTC-USD", fmt.Sprint(1000+i%60), time.Now())})
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		minutes, ended := tape.takeDone(time.Now())
		if len(minutes) != 6 || len(ended) != 1 || !ended[0].Date.Equal(utc("2026-11-20 00:00:00")) || !ended[0].Close.Equal(price("1059")) {
			t.Fatalf("%d minutes, ended %v", len(minutes), ended)
		}
		for _, m := range minutes {
			if !m.open.Equal(price("1000")) || !m.high.Equal(price("1059")) || !m.low.Equal(price("1000")) || !m.close.Equal(price("1059")) {
				t.Errorf("%+v", m)
			}
		}
		all := joined(minutes)
		for name, want := range map[string]int{"1m": 6, "5m": 2, "1h": 2, "1d": 2} {
			if len(all[name]) != want {
				t.Errorf("%s: %d candles, not %d", name, len(all[name]), want)
			}
		}
		if again, _ := tape.takeDone(time.Now()); len(again) != 0 {
			t.Error("a minute was given up twice")
		}
	})
}
