package portfolio

import "github.com/google/uuid"

// newID makes a UUIDv7: ids sort by the time they were made.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// validID tells whether text is an id as we write it. What is not could not exist.
func validID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}
