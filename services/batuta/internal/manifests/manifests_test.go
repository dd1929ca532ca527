package manifests_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/batuta-tasks/batuta/shared/settings"
)

const folder = "../../../../deploy/kubernetes"

// object is as much of a Kubernetes object as is compared.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name, Namespace string
	} `yaml:"metadata"`
	Spec struct {
		Selector yaml.Node `yaml:"selector"`
		Ports    []struct {
			Name string `yaml:"name"`
			Port int    `yaml:"port"`
		} `yaml:"ports"`
		Template struct {
			Metadata struct {
				Labels map[string]string `yaml:"labels"`
			} `yaml:"metadata"`
			Spec struct {
				Containers []container `yaml:"containers"`
				Volumes    []struct {
					Name string `yaml:"name"`
				} `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
		VolumeClaimTemplates []struct {
			Metadata struct {
				Name string `yaml:"name"`
			} `yaml:"metadata"`
		} `yaml:"volumeClaimTemplates"`
		ScaleTargetRef struct {
			Name string `yaml:"name"`
		} `yaml:"scaleTargetRef"`
		Triggers []struct {
			Type     string            `yaml:"type"`
			Metadata map[string]string `yaml:"metadata"`
		} `yaml:"triggers"`
	} `yaml:"spec"`
}

type container struct {
	Name  string `yaml:"name"`
	Image string `yaml:"image"`
	Env   []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	Ports []struct {
		Name string `yaml:"name"`
	} `yaml:"ports"`
	ReadinessProbe struct {
		HTTPGet struct {
			Path, Port string
		} `yaml:"httpGet"`
	} `yaml:"readinessProbe"`
	VolumeMounts []struct {
		Name string `yaml:"name"`
	} `yaml:"volumeMounts"`
}

// objects parses every manifest.
func objects(t *testing.T) map[string]object {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]object{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		dec := yaml.NewDecoder(bytes.NewReader(body))
		for {
			var o object
			err := dec.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, file)
			require.NotEmpty(t, o.APIVersion, file)
			require.NotEmpty(t, o.Kind, file)
			require.NotEmpty(t, o.Metadata.Name, file)
			if o.Kind != "Namespace" {
				require.Equal(t, "batuta", o.Metadata.Namespace, "%s %s", o.Kind, o.Metadata.Name)
			}
			key := o.Kind + "/" + o.Metadata.Name
			require.NotContains(t, out, key)
			out[key] = o
		}
	}
	return out
}

func TestManifestsHoldTogether(t *testing.T) {
	t.Parallel()
	known := settings.Markdown()
	all := objects(t)
	for _, service := range []string{"scheduler", "state-recorder", "worker-pool", "api"} {
		o, ok := all["Deployment/"+service]
		require.True(t, ok, service)
		c := o.Spec.Template.Spec.Containers[0]
		require.Equal(t, "batuta/"+service, c.Image)
		require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
		for _, e := range c.Env {
			require.Contains(t, known, "| `"+e.Name+"` |", "%s: it is no setting", service)
		}
	}
	for key, o := range all {
		if o.Kind != "Deployment" && o.Kind != "StatefulSet" {
			continue
		}
		var selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		require.NoError(t, o.Spec.Selector.Decode(&selector))
		require.Equal(t, selector.MatchLabels, o.Spec.Template.Metadata.Labels, key)
		volumes := map[string]bool{}
		for _, v := range o.Spec.Template.Spec.Volumes {
			volumes[v.Name] = true
		}
		for _, v := range o.Spec.VolumeClaimTemplates {
			volumes[v.Metadata.Name] = true
		}
		c := o.Spec.Template.Spec.Containers[0]
		for _, m := range c.VolumeMounts {
			require.True(t, volumes[m.Name], "%s mounts %s", key, m.Name)
		}
		named := ""
		for _, p := range c.Ports {
			named += " " + p.Name + " "
		}
		require.Contains(t, named, " "+c.ReadinessProbe.HTTPGet.Port+" ", key)
	}
}

func TestTheScaledObjectAsksForTheFigureOfThePool(t *testing.T) {
	t.Parallel()
	all := objects(t)
	scaled := all["ScaledObject/worker-pool"]
	require.Contains(t, all, "Deployment/"+scaled.Spec.ScaleTargetRef.Name)
	require.Len(t, scaled.Spec.Triggers, 1)
	trigger := scaled.Spec.Triggers[0]
	require.Equal(t, "metrics-api", trigger.Type)
	require.Equal(t, "prometheus", trigger.Metadata["format"])
	require.Equal(t, `batuta_pool_desired_workers{pool="default"}`, trigger.Metadata["valueLocation"])
	require.Equal(t, "http://api.batuta.svc:8080/metrics", trigger.Metadata["url"])
	api := all["Service/api"]
	require.Equal(t, 8080, api.Spec.Ports[0].Port)
	// The name is the one that the API exposes.
	source, err := os.ReadFile("../../../api/internal/httpapi/metrics.go")
	require.NoError(t, err)
	require.Contains(t, string(source), `desc("pool_desired_workers"`)
	// A full pool must ask for one more pod: less than BATUTA_POOL_MAX a pod.
	for _, e := range all["Deployment/worker-pool"].Spec.Template.Spec.Containers[0].Env {
		if e.Name == "BATUTA_POOL_MAX" {
			require.Less(t, trigger.Metadata["targetValue"], e.Value)
		}
	}
}
