package prices

import (
	"time"
	_ "time/tzdata" // sessions are in the exchange's local time, also where the image has no zone files
)

// day counts days since 1970-01-01.
type day int32

func dayOf(t time.Time) day {
	y, m, d := t.Date()
	return day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// date is 00:00 UTC of d.
func (d day) date() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// calendar says when an instrument trades, and by that which close its day change refers to.
type calendar struct {
	name        string
	loc         *time.Location
	opens       time.Duration            // local time of day
	closes      time.Duration            // local time of day; 24h: the end of the day
	everyDay    bool                     // also on Saturday and Sunday
	holiday     func(time.Time) bool     // asked with 00:00 UTC of a working day
	earlyClose  func(time.Time) bool     // days that end at earlyCloses
	earlyCloses time.Duration            //
	pause       func(utc time.Time) bool // closed although the day is a session: the fx weekend
}

// session is the span of time whose ticks belong to one trading day: from local midnight of a
// session until local midnight of the next one, so that late trades of Friday and what is reported
// on Saturday count for Friday.
type session struct {
	day         day
	from, until int64 // Unix milliseconds, [from, until)
}

func (c *calendar) trades(d day) bool {
	date := d.date()
	if c.everyDay {
		return true
	}
	if w := date.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	return c.holiday == nil || !c.holiday(date)
}

// sessionAt is the session to which a tick at t belongs.
func (c *calendar) sessionAt(t time.Time) session {
	d := dayOf(t.In(c.loc))
	for !c.trades(d) {
		d--
	}
	next := d + 1
	for !c.trades(next) {
		next++
	}
	return session{day: d, from: c.midnight(d).UnixMilli(), until: c.midnight(next).UnixMilli()}
}

func (c *calendar) midnight(d day) time.Time { return c.timeOfDay(d, 0) }

func (c *calendar) timeOfDay(d day, at time.Duration) time.Time {
	date := d.date()
	return time.Date(date.Year(), date.Month(), date.Day(), 0, 0, int(at/time.Second), 0, c.loc)
}

// closeOf is the moment at which the session of d ends.
func (c *calendar) closeOf(d day) time.Time {
	if c.earlyClose != nil && c.earlyClose(d.date()) {
		return c.timeOfDay(d, c.earlyCloses)
	}
	return c.timeOfDay(d, c.closes)
}

// openOf is the moment at which the session that t lies in, or ends with, began.
func (c *calendar) openOf(t time.Time) time.Time {
	return c.timeOfDay(dayOf(t.Add(-time.Nanosecond).In(c.loc)), c.opens)
}

// open says whether the instrument trades at t.
func (c *calendar) open(t time.Time) bool {
	d := dayOf(t.In(c.loc))
	if !c.trades(d) || c.pause != nil && c.pause(t.UTC()) {
		return false
	}
	return !t.Before(c.timeOfDay(d, c.opens)) && t.Before(c.closeOf(d))
}

// lastClose is the end of the newest session that is over at t.
func (c *calendar) lastClose(t time.Time) time.Time {
	for d := dayOf(t.In(c.loc)); ; d-- {
		if c.trades(d) && !c.closeOf(d).After(t) {
			return c.closeOf(d)
		}
	}
}

// calendars by name. An unknown name is refused where instruments are defined.
var calendars = map[string]*calendar{
	"24x7":  {name: "24x7", loc: time.UTC, closes: 24 * time.Hour, everyDay: true},
	"fx":    {name: "fx", loc: time.UTC, closes: 24 * time.Hour, everyDay: true, pause: fxWeekend},
	"daily": {name: "daily", loc: time.UTC, opens: 24 * time.Hour, closes: 24 * time.Hour}, // one price a working day: funds
	"XNYS": {name: "XNYS", loc: zone("America/New_York"), opens: clock(9, 30), closes: clock(16, 0), holiday: holidayUS,
		earlyClose: earlyUS, earlyCloses: clock(13, 0)},
	"XLON": {name: "XLON", loc: zone("Europe/London"), opens: clock(8, 0), closes: clock(16, 30), holiday: holidayUK,
		earlyClose: earlyUK, earlyCloses: clock(12, 30)},
	"XETR": {name: "XETR", loc: zone("Europe/Berlin"), opens: clock(9, 0), closes: clock(17, 30), holiday: holidayGermany},
	"XPAR": {name: "XPAR", loc: zone("Europe/Paris"), opens: clock(9, 0), closes: clock(17, 30), holiday: holidayEuronext,
		earlyClose: earlyUK, earlyCloses: clock(14, 5)},
}

// marketCalendars are the exchanges that keep another's hours.
var marketCalendars = map[string]string{
	"XNAS": "XNYS", "ARCX": "XNYS", "XASE": "XNYS", "BATS": "XNYS", "IEXG": "XNYS", "XNGS": "XNYS", "XNCM": "XNYS", "XNMS": "XNYS",
	"XFRA": "XETR", "XAMS": "XPAR", "XBRU": "XPAR", "XLIS": "XPAR",
}

// calendarOf is the session calendar of i: by its name, else by its market, else by its kind.
func calendarOf(i Instrument) *calendar {
	for _, name := range []string{i.Calendar, i.MIC, marketCalendars[i.MIC]} {
		if c := calendars[name]; c != nil {
			return c
		}
	}
	switch i.Kind {
	case KindEquity, KindETF, KindIndex:
		return calendars["XNYS"]
	case KindFX:
		return calendars["fx"]
	case KindFund, KindBond:
		return calendars["daily"]
	default:
		return calendars["24x7"]
	}
}

// fxWeekend: currencies rest from Friday 17:00 to Sunday 17:00 in New York.
func fxWeekend(t time.Time) bool {
	local := t.In(newYork)
	switch local.Weekday() {
	case time.Friday:
		return local.Hour() >= 17
	case time.Saturday:
		return true
	case time.Sunday:
		return local.Hour() < 17
	default:
		return false
	}
}

var newYork = zone("America/New_York")

func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the zones are embedded
	}
	return loc
}

func clock(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}
