package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// exposition parses a file in the text format with the libraries of Prometheus, and prints its families: name, type,
// help, number of metrics.
func exposition(path string) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families := must(parser.TextToMetricFamilies(bytes.NewReader(must(os.ReadFile(path)))))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		fmt.Printf("%s %s %d %s\n", name, family.GetType(), len(family.GetMetric()), family.GetHelp())
	}
}
