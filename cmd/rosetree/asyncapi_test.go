package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"rosetree/web"
)

// asyncAPI are the payload schemas of asyncapi.yaml, by message. A server may add fields that old clients ignore; here
// each must be named, so that the document does not fall behind.
type asyncAPI struct {
	says, hears map[string]*jsonschema.Schema // by type: what a client says, and what it hears
}

var readAsyncAPI = sync.OnceValues(func() (*asyncAPI, error) {
	var parsed map[string]any
	if err := yaml.Unmarshal(web.AsyncAPI, &parsed); err != nil {
		return nil, err
	}
	text, err := json.Marshal(parsed)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem://asyncapi.json", doc); err != nil {
		return nil, err
	}
	a := &asyncAPI{says: map[string]*jsonschema.Schema{}, hears: map[string]*jsonschema.Schema{}}
	for operation, into := range map[string]map[string]*jsonschema.Schema{"say": a.says, "hear": a.hears} {
		for _, ref := range at(parsed, "operations", operation, "messages").([]any) {
			name := filepath.Base(ref.(map[string]any)["$ref"].(string))
			if into[name], err = c.Compile("mem://asyncapi.json#/components/messages/" + name + "/payload"); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
})

func at(v any, path ...string) any {
	for _, key := range path {
		v = v.(map[string]any)[key]
	}
	return v
}

// closeObjects refuses fields that a schema does not name.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, named := v["properties"]; named && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

// misfit says what is wrong with a message; "" is nothing. Placeholders of transcripts fit everywhere.
func misfit(schemas map[string]*jsonschema.Schema, text []byte) string {
	message, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err.Error()
	}
	fields, _ := message.(map[string]any)
	kind, _ := fields["type"].(string)
	schema := schemas[kind]
	if schema == nil {
		return fmt.Sprintf("type %q is not in the document", kind)
	}
	invalid, is := schema.Validate(message).(*jsonschema.ValidationError)
	if !is {
		return ""
	}
	var wrong []string
	for _, leaf := range leaves(invalid) {
		if value := valueAt(message, leaf.InstanceLocation); value != "$any" && value != "$time" {
			wrong = append(wrong, fmt.Sprintf("/%s: %v", strings.Join(leaf.InstanceLocation, "/"), leaf.ErrorKind))
		}
	}
	return strings.Join(wrong, "; ")
}

func leaves(e *jsonschema.ValidationError) (all []*jsonschema.ValidationError) {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

func valueAt(v any, path []string) any {
	for _, key := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			var i int
			fmt.Sscan(key, &i)
			v = in[i]
		}
	}
	return v
}

// conforms holds a message of a running server, or one that it took, against the document.
func conforms(t testing.TB, said bool, text []byte) {
	t.Helper()
	a, err := readAsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	schemas, who := a.hears, "the server said"
	if said {
		schemas, who = a.says, "the client said"
	}
	if wrong := misfit(schemas, text); wrong != "" {
		t.Errorf("%s what asyncapi.yaml does not: %s in %s", who, wrong, text)
	}
}

// Every message of the golden transcripts, which the hub's tests replay against the running hub, is as the document
// says; what a client says there and the document does not allow, the server refuses.
func TestTranscriptsAreAsAsyncAPISays(t *testing.T) {
	files, err := filepath.Glob("../../hub/testdata/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	a, err := readAsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		misfits := ""
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			mark, message, _ := strings.Cut(lines.Text(), " ")
			var head struct{ Type string }
			_ = json.Unmarshal([]byte(message), &head) // errors.txt has what is no JSON
			switch {
			case mark == "<" || mark == "x":
				if misfits != "" && head.Type != "error" && !strings.HasPrefix(message, "45") {
					t.Errorf("%s: the server took %s", filepath.Base(file), misfits)
				}
				misfits = ""
				if mark == "<" {
					conforms(t, false, []byte(message))
				}
			case mark == ">":
				if misfit(a.says, []byte(message)) != "" {
					misfits = message
				}
			default:
				continue
			}
			seen[mark+head.Type] = true
		}
	}
	for kind := range a.says {
		if !seen[">"+kind] {
			t.Errorf("no transcript says %q", kind)
		}
	}
	for kind := range a.hears {
		if !seen["<"+kind] {
			t.Errorf("no transcript hears %q", kind)
		}
	}
}

func TestAsyncAPIRefusesWhatItDoesNotName(t *testing.T) {
	a, err := readAsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	for text, schemas := range map[string]map[string]*jsonschema.Schema{
		`{"type":"subscribe","channel":"prices","symbol":"AAPL"}`:           a.says,
		`{"type":"subscribe","channel":"news"}`:                             a.says,
		`{"type":"prices","updates":[{"s":"AAPL","p":189.12,"t":1,"n":1}]}`: a.hears,
		`{"type":"pong","time":"$time","extra":1}`:                          a.hears,
		`{"type":"error","error":{"code":"invalid"}}`:                       a.hears,
		`{"type":"hello"}`: a.hears,
		`{"type":"portfolio","portfolio":"p","version":1,"holdings":[{"sym":1}],"totals":{}}`: a.hears,
	} {
		if misfit(schemas, []byte(text)) == "" {
			t.Errorf("%s passes", text)
		}
	}
}
