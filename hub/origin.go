package hub

import (
	"encoding/json"
	"strconv"

	"rosetree/prices"
)

// origin is encoded anew only where the source is another one than before.
func (t *ticker) origin(q prices.Quote) []byte {
	if q.Source == "" {
		return nil
	}
	if old := t.from.Load(); old != nil && old.source == q.Source {
		return old.json
	}
	o := &origin{q.Source, appendOrigin(nil, q)}
	t.from.Store(o)
	return o.json
}

// origin is a source, and what snapshots say of it.
type origin struct {
	source string
	json   []byte
}

// appendOrigin appends ,"source":"kraken","delay_ms":0
func appendOrigin(b []byte, q prices.Quote) []byte {
	source, _ := json.Marshal(q.Source) // a string always encodes
	b = append(append(b, `,"source":`...), source...)
	return strconv.AppendInt(append(b, `,"delay_ms":`...), q.Delay().Milliseconds(), 10)
}
