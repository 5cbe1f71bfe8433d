package prices

import "time"

// The exchanges' holidays by rule, so that no list runs out. Each function is asked with 00:00 UTC of
// a working day. Sources: nyse.com/markets/hours-calendars, londonstockexchange.com business days,
// xetra.com trading calendar, euronext.com holidays. Closings by decree (a day of mourning, a
// coronation) follow no rule and are not known here: such a day shows its last price as stale.

func on(t time.Time, m time.Month, d int) bool { return t.Month() == m && t.Day() == d }

// observed: the holiday falls on t, or on the Sunday before it, or on the Saturday after it.
func observed(t time.Time, m time.Month, d int) bool {
	return on(t, m, d) || t.Weekday() == time.Monday && on(t.AddDate(0, 0, -1), m, d) || t.Weekday() == time.Friday && on(t.AddDate(0, 0, 1), m, d)
}

// nth says whether t is the nth such weekday of month m; n = -1 is the last one.
func nth(t time.Time, m time.Month, w time.Weekday, n int) bool {
	if t.Month() != m || t.Weekday() != w {
		return false
	}
	if n < 0 {
		return t.AddDate(0, 0, 7).Month() != m
	}
	return (t.Day()-1)/7 == n-1
}

// easter is Easter Sunday of a year (Gauss, as corrected by Meeus: Astronomical Algorithms, ch. 8).
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e, f := b/4, b%4, (b+8)/25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}

func fromEaster(t time.Time, days int) bool { return t.Equal(easter(t.Year()).AddDate(0, 0, days)) }

func holidayUS(t time.Time) bool {
	newYear := on(t, time.January, 1) || t.Weekday() == time.Monday && on(t, time.January, 2) // a Saturday's is not observed
	juneteenth := t.Year() >= 2022 && observed(t, time.June, 19)
	return newYear || juneteenth || nth(t, time.January, time.Monday, 3) || nth(t, time.February, time.Monday, 3) || fromEaster(t, -2) ||
		nth(t, time.May, time.Monday, -1) || observed(t, time.July, 4) || nth(t, time.September, time.Monday, 1) ||
		nth(t, time.November, time.Thursday, 4) || observed(t, time.December, 25)
}

func earlyUS(t time.Time) bool {
	return on(t, time.July, 3) && !holidayUS(t) || nth(t.AddDate(0, 0, -1), time.November, time.Thursday, 4) || on(t, time.December, 24)
}

func holidayUK(t time.Time) bool {
	return substitute(t, time.January, 1) || fromEaster(t, -2) || fromEaster(t, 1) || nth(t, time.May, time.Monday, 1) ||
		nth(t, time.May, time.Monday, -1) || nth(t, time.August, time.Monday, -1) || christmasUK(t)
}

// substitute: a holiday at the weekend moves to the Monday after it.
func substitute(t time.Time, m time.Month, d int) bool {
	return on(t, m, d) || t.Weekday() == time.Monday && (on(t.AddDate(0, 0, -1), m, d) || on(t.AddDate(0, 0, -2), m, d))
}

// christmasUK: 25 and 26 December; of the two, those at a weekend move to the next Monday and Tuesday.
func christmasUK(t time.Time) bool {
	if t.Month() != time.December {
		return false
	}
	switch t.Day() {
	case 25, 26:
		return true
	case 27:
		return t.Weekday() == time.Monday || t.Weekday() == time.Tuesday
	case 28:
		return t.Weekday() == time.Monday || t.Weekday() == time.Tuesday
	default:
		return false
	}
}

// earlyUK: the last working days before Christmas and New Year are short.
func earlyUK(t time.Time) bool {
	return on(t, time.December, 24) || on(t, time.December, 31)
}

func holidayGermany(t time.Time) bool {
	return holidayEuronext(t) || on(t, time.December, 24) || on(t, time.December, 31)
}

func holidayEuronext(t time.Time) bool {
	return on(t, time.January, 1) || fromEaster(t, -2) || fromEaster(t, 1) || on(t, time.May, 1) || on(t, time.December, 25) || on(t, time.December, 26)
}
