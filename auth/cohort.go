package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"rosetree/internal/api"
)

// cohortLists are asked before the percentage. They are read with the switches and never changed, so that a pointer stands for them.
type cohortLists struct{ always, never []UserID }

// maxListed bounds each list: every server holds them, and every log-in goes through them.
const maxListed = 1000

// issuesSession says whether the user's next log-in gets a session. It never says whether one that exists is accepted.
func (s Switches) issuesSession(user UserID) bool {
	switch {
	case !s.LegacyEnabled:
		return true
	case !s.NewAuth || s.Rollback:
		return false
	case slices.Contains(s.listed().never, user):
		return false
	}
	return slices.Contains(s.listed().always, user) || inCohort(user, s.Percentage)
}

// listed is empty for switches that came from elsewhere than the row, such as an answer of the API.
func (s Switches) listed() cohortLists {
	if s.lists == nil {
		return cohortLists{}
	}
	return *s.lists
}

// inCohort is stable and monotone: raising the percentage only adds users. The salt keeps it apart from other experiments.
func inCohort(user UserID, percentage float64) bool {
	sum := sha256.Sum256([]byte("rosetree-new-auth\x00" + user))
	return float64(binary.BigEndian.Uint64(sum[:8])%10000) < percentage*100
}

func (l *cohortLists) equal(other *cohortLists) bool {
	return slices.Equal(l.always, other.always) && slices.Equal(l.never, other.never)
}

// listOf is what stands in the row for an override: nil is none.
func listOf(users *[]UserID) []UserID {
	if users == nil {
		return []UserID{}
	}
	return *users
}

// overrideOf is listOf's inverse.
func overrideOf(users []UserID) *[]UserID {
	if len(users) == 0 {
		return nil
	}
	return &users
}

// checkLists refuses lists that no one could have meant.
func (o Override) checkLists() error {
	for name, list := range map[string]*[]UserID{"always": o.Always, "never": o.Never} {
		if len(listOf(list)) > maxListed {
			return api.Invalid(name, "at most %d users", maxListed)
		}
		for i, user := range listOf(list) {
			if checkUserID(user) != nil || slices.Contains(listOf(list)[:i], user) {
				return api.Invalid(name, "must be users' ids, each once")
			}
			if name == "never" && slices.Contains(listOf(o.Always), user) {
				return api.Invalid(name, "a user cannot be in both lists")
			}
		}
	}
	return nil
}
