// Renders a Helm chart without helm: Go's text/template with sprig and the functions that helm adds, as far as
// the chart uses them. What it does not know is an error, never an empty string.
//
//	go run render.go CHART RELEASE NAMESPACE [VALUES...]
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

// files is helm's .Files: what lies beside the templates.
type files struct{ root string }

func (f files) Get(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(f.root, filepath.Clean("/"+name)))
	return string(content), err
}

func (f files) Glob(pattern string) (map[string]string, error) {
	found := map[string]string{}
	matches, err := filepath.Glob(filepath.Join(f.root, filepath.Clean("/"+pattern)))
	for _, match := range matches {
		name, relErr := filepath.Rel(f.root, match)
		if relErr != nil {
			return nil, relErr
		}
		if found[name], err = f.Get(name); err != nil {
			return nil, err
		}
	}
	return found, err
}

func readYAML(file string) (map[string]interface{}, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	values := map[string]interface{}{}
	return values, yaml.Unmarshal(content, &values)
}

// overlay puts the values of over on top of base, table by table, as helm does.
func overlay(base, over map[string]interface{}) {
	for key, value := range over {
		below, isTable := base[key].(map[string]interface{})
		above, alsoTable := value.(map[string]interface{})
		if isTable && alsoTable {
			overlay(below, above)
		} else {
			base[key] = value
		}
	}
}

func functions(all *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	// Helm forbids them too: a chart must not depend on where it is rendered.
	delete(known, "env")
	delete(known, "expandenv")
	known["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	known["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["toJson"] = func(value interface{}) (string, error) {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(value)
		return strings.TrimSpace(out.String()), err
	}
	known["fromJson"] = func(text string) (map[string]interface{}, error) {
		values := map[string]interface{}{}
		return values, json.Unmarshal([]byte(text), &values)
	}
	known["fromJsonArray"] = func(text string) ([]interface{}, error) {
		values := []interface{}{}
		return values, json.Unmarshal([]byte(text), &values)
	}
	known["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	return known
}

func render(chart, release, namespace string, overlays []string) (string, error) {
	values, err := readYAML(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return "", err
	}
	for _, file := range overlays {
		over, err := readYAML(file)
		if err != nil {
			return "", err
		}
		overlay(values, over)
	}
	about, err := readYAML(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return "", err
	}
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	names, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return "", err
	}
	sort.Strings(names)
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if _, err := all.New(path.Base(name)).Parse(string(content)); err != nil {
			return "", err
		}
	}
	data := map[string]interface{}{
		"Values":  values,
		"Chart":   about,
		"Files":   files{chart},
		"Release": map[string]interface{}{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true},
	}
	var out strings.Builder
	for _, name := range names {
		base := path.Base(name)
		if !strings.HasSuffix(base, ".yaml") {
			continue
		}
		var rendered bytes.Buffer
		if err := all.ExecuteTemplate(&rendered, base, data); err != nil {
			return "", err
		}
		if text := strings.TrimSpace(rendered.String()); text != "" {
			fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", base, strings.TrimPrefix(text, "---\n"))
		}
	}
	return out.String(), nil
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: render CHART RELEASE NAMESPACE [VALUES...]")
		os.Exit(2)
	}
	text, err := render(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
	if strings.Contains(text, "<no value>") {
		fmt.Fprintln(os.Stderr, "render: a value is missing:")
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "<no value>") {
				fmt.Fprintln(os.Stderr, " ", strings.TrimSpace(line))
			}
		}
		os.Exit(1)
	}
	fmt.Print(text)
}
