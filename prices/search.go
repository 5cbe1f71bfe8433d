package prices

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"rosetree/internal/api"
)

type searchInput struct {
	Q     string `json:"q"`
	Limit int    `json:"limit"`
}

type searchOutput struct {
	Instruments []FoundInstrument `json:"instruments"`
}

// FoundInstrument is an instrument that everybody knows, or one of the caller's own.
type FoundInstrument struct {
	Instrument
	Own bool `json:"own"` // the caller's own: nobody else finds it
}

const maxFound = 200

// search finds instruments by symbol, name or ISIN, the caller's own among them: the best match first. Without q all are
// listed by symbol.
func (s *Service) search(ctx context.Context, o Owner, in searchInput) (searchOutput, error) {
	switch {
	case len(in.Q) > 64:
		return searchOutput{}, api.Invalid("q", "at most 64 characters")
	case in.Limit < 0 || in.Limit > maxFound:
		return searchOutput{}, api.Invalid("limit", "from 1 to %d", maxFound)
	case in.Limit == 0:
		in.Limit = maxFound
	}
	own, err := readOwn(ctx, o.Rows)
	if err != nil {
		return searchOutput{}, err
	}
	all := make([]FoundInstrument, 0, len(own))
	for _, i := range s.Book.Instruments() {
		all = append(all, FoundInstrument{Instrument: i})
	}
	for _, i := range own {
		if _, shared := s.Book.Instrument(i.Symbol); !shared { // what everybody knows since goes before
			all = append(all, FoundInstrument{i.instrument(), true})
		}
	}
	all = matching(all, in.Q)
	return searchOutput{all[:min(in.Limit, len(all))]}, nil
}

// matching ranks what matches text; equals are in the order of their symbols.
func matching(all []FoundInstrument, text string) []FoundInstrument {
	text = strings.ToLower(strings.TrimSpace(text))
	ranks := make(map[Symbol]int, len(all))
	for _, i := range all {
		ranks[i.Symbol] = rank(i.Instrument, text)
	}
	all = slices.DeleteFunc(all, func(i FoundInstrument) bool { return ranks[i.Symbol] == 0 })
	slices.SortFunc(all, func(x, y FoundInstrument) int {
		return cmp.Or(cmp.Compare(ranks[y.Symbol], ranks[x.Symbol]), cmp.Compare(x.Symbol, y.Symbol))
	})
	return all
}

// rank is how well text, in lower case, names i; 0 is not at all.
func rank(i Instrument, text string) int {
	symbol, name := strings.ToLower(string(i.Symbol)), strings.ToLower(i.Name)
	switch {
	case text == symbol || text == strings.ToLower(i.ISIN) && text != "":
		return 5
	case strings.HasPrefix(symbol, text):
		return 4
	case strings.HasPrefix(name, text):
		return 3
	case strings.Contains(name, " "+text):
		return 2
	case strings.Contains(symbol, text) || strings.Contains(name, text):
		return 1
	default:
		return 0
	}
}
