package alert

import (
	"fmt"
	"io"
	"strings"
)

// WriteRules prints the conditions as a rules file of Prometheus. Where no server answers at all there is nothing to
// measure: only Prometheus can tell, so that one rule is here and not among the conditions.
func WriteRules(w io.Writer, conditions []Condition) error {
	var b strings.Builder
	b.WriteString("# Printed by `rosetree alerts rules` from internal/alert/conditions.go; a test holds it equal.\n" +
		"# runbook_url is a path in the repository: put your copy's address before it with your Alertmanager template.\n" +
		"groups:\n  - name: rosetree\n    rules:\n")
	rule(&b, "RosetreeDown", "absent(rosetree_hub_sockets)", "1m", Critical, "No server of Rosetree answers Prometheus.", "deploy/runbooks/alerts.md#rosetreedown")
	for _, c := range conditions {
		rule(&b, c.Name, fmt.Sprintf("%s %s %g", c.Measure.promQL(), c.sign(), c.Limit), span(c.For), c.Severity, c.Says, c.Runbook())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func rule(b *strings.Builder, name, expr, lasts string, severity Severity, says, runbook string) {
	fmt.Fprintf(b, "      - alert: %s\n        expr: %s\n        for: %s\n        labels:\n          severity: %s\n", name, quoted(expr), lasts, severity)
	fmt.Fprintf(b, "        annotations:\n          summary: %s\n          runbook_url: %s\n", quoted(says), quoted(runbook))
}

// quoted is a YAML single-quoted scalar.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
