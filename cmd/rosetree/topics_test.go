package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"rosetree/hub"
	"rosetree/web"
)

// What an admin hears on the socket of a whole server is as asyncapi.yaml says, field by field.
func TestAnAdminHearsOfSwitchesAndOfEverybodysSessions(t *testing.T) {
	h := newHouse(t)
	admin := h.admin("root@example.com")
	s := admin.socket()
	s.send(`{"id":1,"type":"subscribe","channel":"rollout"}`)
	s.typed("rollout")
	s.send(`{"id":2,"type":"subscribe","channel":"sessions"}`)
	s.typed("subscribed")
	admin.call("PUT", "/api/admin/rollout", map[string]any{"percentage": 100, "always": []string{admin.id}, "reason": "a test"}, 200, nil)
	if m := s.typed("rollout"); m.Reason != "a test" {
		t.Errorf("told of %+v", m)
	}
	ana := h.register("ana@example.com")
	s.until("ana's session", func(m message) bool { return m.Type == "session" && m.Event == "started" && m.ID == ana.session })
	admin.call("DELETE", "/api/admin/sessions/"+ana.session, map[string]any{"reason": "a test"}, 200, nil)
	s.until("its end", func(m message) bool { return m.Type == "session" && m.Event == "ended" && m.ID == ana.session })
	admin.call("GET", "/debug/check", nil, 200, nil) // what auth watches for is what the hub has open
}

// PROTOCOL's three descriptions name the same: what this program can send, asyncapi.yaml, and docs/protocol.md.
func TestEveryChannelAndMessageIsInTheDocuments(t *testing.T) {
	var parsed map[string]any
	if err := yaml.Unmarshal(web.AsyncAPI, &parsed); err != nil {
		t.Fatal(err)
	}
	channels := []string{"prices", "portfolio", hub.NoticesTopic, hub.DevicesTopic, hub.OverviewTopic}
	for _, topic := range slices.Concat(adminTopics(nil, nil), personalTopics(nil, nil, nil)) {
		channels = append(channels, topic.Name)
	}
	var documented []string
	for _, name := range at(parsed, "components", "schemas", "channel", "enum").([]any) {
		documented = append(documented, name.(string))
	}
	slices.Sort(channels)
	slices.Sort(documented)
	if !slices.Equal(channels, documented) {
		t.Errorf("the program has the channels %v, asyncapi.yaml %v", channels, documented)
	}
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range channels {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + name + "`").Match(text) {
			t.Errorf("docs/protocol.md has no row for channel %s", name)
		}
	}
	for kind := range a.says {
		if !strings.Contains(string(text), `"type":"`+kind+`"`) {
			t.Errorf("docs/protocol.md does not show how to say %s", kind)
		}
	}
	for kind := range a.hears {
		if !strings.Contains(string(text), "`"+kind+"`") {
			t.Errorf("docs/protocol.md does not mention %s", kind)
		}
	}
}
