// documents prints how kubectl reads manifests. For each JSON string on a line of the input, a stream of YAML or JSON
// documents, it prints a list of the documents as JSON, or a string with the error.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	lines, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var stream string
		err := lines.Decode(&stream)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		var read any
		if read, err = documents(stream); err != nil {
			read = err.Error()
		}
		if err := encoder.Encode(read); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// documents reads a stream as the builder of kubectl's commands does.
func documents(stream string) ([]json.RawMessage, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 4096)
	all := []json.RawMessage{}
	for {
		var document runtime.RawExtension
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(document.Raw) > 0 {
			all = append(all, json.RawMessage(document.Raw))
		}
	}
}
