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
	Instruments []Instrument `json:"instruments"`
}

const maxFound = 200

// search finds instruments by symbol, name or ISIN: the best match first. Without q all are listed by symbol.
func (s *Service) search(_ context.Context, _ struct{}, in searchInput) (searchOutput, error) {
	switch {
	case len(in.Q) > 64:
		return searchOutput{}, api.Invalid("q", "at most 64 characters")
	case in.Limit < 0 || in.Limit > maxFound:
		return searchOutput{}, api.Invalid("limit", "from 1 to %d", maxFound)
	case in.Limit == 0:
		in.Limit = maxFound
	}
	found := s.Book.search(in.Q)
	return searchOutput{found[:min(in.Limit, len(found))]}, nil
}

// search ranks what matches text; equals are in the order of their symbols.
func (b *Book) search(text string) []Instrument {
	text = strings.ToLower(strings.TrimSpace(text))
	found := slices.DeleteFunc(b.Instruments(), func(i Instrument) bool { return rank(i, text) == 0 })
	slices.SortStableFunc(found, func(x, y Instrument) int { return cmp.Compare(rank(y, text), rank(x, text)) })
	return found
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
