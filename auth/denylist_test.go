package auth

import "testing"

// What a person wrote for the log is not told to the one whose session ends, unless they said so.
func TestEnd_TellsOnlyWhatWasWrittenForTheUser(t *testing.T) {
	for reason, want := range map[string]End{
		Reason{}.String():                                    {Reason: EndRevoked},
		Reason{Text: "fraud, case 7"}.String():               {Reason: EndRevoked},
		Reason{Text: ": fraud"}.String():                     {Reason: EndRevoked},
		Reason{Text: "It was found.", Tell: true}.String():   {Reason: EndRevoked, Said: "It was found."},
		Reason{Text: "a:: b", Tell: true}.String():           {Reason: EndRevoked, Said: "a:: b"},
		Reason{Code: EndSignedOut, Text: "by hand"}.String(): {Reason: EndSignedOut},
		"stolen:: see the ticket":                            {Reason: EndRevoked}, // by hand, in the table
		"stolen":                                             {Reason: EndRevoked},
	} {
		if got := (&revocation{Reason: reason}).end(); got != want {
			t.Errorf("%q: %+v, want %+v", reason, got, want)
		}
	}
}
