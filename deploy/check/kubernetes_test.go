package check

import (
	"bytes"
	"os"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the objects that the manifests may hold, as Kubernetes' own types.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                 func() any { return new(apps.Deployment) },
	"v1 Service":                         func() any { return new(core.Service) },
	"policy/v1 PodDisruptionBudget":      func() any { return new(policy.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy": func() any { return new(networking.NetworkPolicy) },
	"batch/v1 Job":                       func() any { return new(batch.Job) },
}

// objects reads a manifest strictly: an unknown or repeated field is an error, as it is to a server that validates.
func objects(t *testing.T, file string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("../kubernetes/" + file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	for _, document := range bytes.Split(raw, []byte("\n---\n")) {
		var m meta.TypeMeta
		if err := yaml.Unmarshal(document, &m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kind := m.APIVersion + " " + m.Kind
		empty := kinds[kind]
		if empty == nil {
			t.Fatalf("%s: %s is nothing that this test knows", file, kind)
		}
		object := empty()
		if err := yaml.UnmarshalStrict(document, object, yaml.DisallowUnknownFields); err != nil {
			t.Errorf("%s, %s: %v", file, kind, err)
		}
		found[m.Kind] = object
	}
	return found
}

func TestTheDeploymentHasTheNamesOfThePlan(t *testing.T) {
	all := objects(t, "rosetree.yaml")
	d := all["Deployment"].(*apps.Deployment)
	pod := d.Spec.Template
	if d.Name != "portfolio-tracker" || len(pod.Spec.Containers) != 1 || pod.Spec.Containers[0].Name != "app" {
		t.Errorf("the plan says deployment/portfolio-tracker app=…; here it is %s %s", d.Name, pod.Spec.Containers[0].Name)
	}
	for name, selector := range map[string]map[string]string{
		"Deployment": d.Spec.Selector.MatchLabels, "Service": all["Service"].(*core.Service).Spec.Selector,
		"PodDisruptionBudget": all["PodDisruptionBudget"].(*policy.PodDisruptionBudget).Spec.Selector.MatchLabels,
		"NetworkPolicy":       all["NetworkPolicy"].(*networking.NetworkPolicy).Spec.PodSelector.MatchLabels,
	} {
		for k, v := range selector {
			if pod.Labels[k] != v {
				t.Errorf("%s selects %s=%s, which the pods do not have", name, k, v)
			}
		}
	}
	if budget := all["PodDisruptionBudget"].(*policy.PodDisruptionBudget); budget.Spec.MinAvailable.IntValue() >= int(*d.Spec.Replicas) {
		t.Error("the disruption budget lets no server be moved")
	}
}

func TestThePodsAreLockedDownAndKnowTheirSettings(t *testing.T) {
	known := settings(t)
	for _, pod := range []core.PodSpec{objects(t, "rosetree.yaml")["Deployment"].(*apps.Deployment).Spec.Template.Spec, objects(t, "migrate.yaml")["Job"].(*batch.Job).Spec.Template.Spec} {
		c := pod.Containers[0]
		if !*pod.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%s is not locked down", c.Name)
		}
		for _, v := range c.Env {
			if !known[v.Name] {
				t.Errorf("%s: %s is no setting", c.Name, v.Name)
			}
		}
	}
}

func TestADrainFitsIntoTheGracePeriod(t *testing.T) {
	pod := objects(t, "rosetree.yaml")["Deployment"].(*apps.Deployment).Spec.Template.Spec
	c := pod.Containers[0]
	for _, p := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("a probe asks port %s", p.HTTPGet.Port.String())
		}
	}
	const drain = 20 // WS_DRAIN
	if need := c.Lifecycle.PreStop.Sleep.Seconds + drain + 5; *pod.TerminationGracePeriodSeconds < need {
		t.Errorf("grace period %d s, needed %d", *pod.TerminationGracePeriodSeconds, need)
	}
}
