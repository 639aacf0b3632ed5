// monitoring evaluates the alerts of a PrometheusRule on the series of test cases, with the engine of Prometheus, and
// prints the errors. Its arguments are the rules, the cases and the dashboard. The `for` of an alert is implemented
// here, since the package of Prometheus that implements it has about 400 further packages as dependencies.
//
// With the arguments `exposition` and a file, it prints the contents of an exposition in the text format.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"go.yaml.in/yaml/v3"
)

type rule struct {
	Alert, Expr string
	For         time.Duration
	Annotations map[string]string
}

type rules struct {
	Spec struct{ Groups []struct{ Rules []rule } }
}

type cases struct {
	Tests []struct {
		Name        string
		Interval    time.Duration
		InputSeries []struct{ Series, Values string } `yaml:"input_series"`
		Checks      []struct {
			At    time.Duration `yaml:"eval_time"`
			Alert string        `yaml:"alertname"`
			Fires bool
		} `yaml:"alert_rule_test"`
	}
}

// sample is a sample of a series.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// store holds all series of a case.
type store struct {
	storage.MockQuerier
	series []storage.Series
}

type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                      { s.at++; return s.at <= len(s.series) }
func (s *set) At() storage.Series              { return s.series[s.at-1] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

func (s *store) Querier(int64, int64) (storage.Querier, error) { return s, nil }

func (s *store) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &set{}
	for _, series := range s.series {
		matches := true
		for _, matcher := range matchers {
			matches = matches && matcher.Matches(series.Labels().Get(matcher.Name))
		}
		if matches {
			found.series = append(found.series, series)
		}
	}
	return found
}

var (
	failed = false
	parse  = parser.NewParser(parser.Options{})
	engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true,
		EnableNegativeOffset: true, Parser: parse,
	})
)

func wrong(format string, arguments ...any) {
	failed = true
	fmt.Printf(format+"\n", arguments...)
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	return value
}

func read(path string, into any) {
	must(0, yaml.Unmarshal(must(os.ReadFile(path)), into))
}

// fires reports whether the alert fires at a time. It evaluates the alert at every step from the beginning.
func fires(of rule, in *store, at, step time.Duration) bool {
	since := map[uint64]time.Duration{}
	firing := false
	for now := time.Duration(0); now <= at; now += step {
		time := time.UnixMilli(now.Milliseconds()).UTC()
		query := must(engine.NewInstantQuery(context.Background(), in, nil, of.Expr, time))
		result := query.Exec(context.Background())
		vector := must(result.Vector())
		active := map[uint64]bool{}
		firing = false
		for _, found := range vector {
			id := found.Metric.Hash()
			active[id] = true
			if _, ok := since[id]; !ok {
				since[id] = now
			}
			if now-since[id] >= of.For {
				firing = true
				expand(of, found, time)
			}
		}
		for id := range since {
			if !active[id] {
				delete(since, id)
			}
		}
		query.Close()
	}
	return firing
}

// expand checks that all annotations of the alert, which are templates, expand.
func expand(of rule, found promql.Sample, at time.Time) {
	data := template.AlertTemplateData(found.Metric.Map(), nil, "", found)
	for name, text := range of.Annotations {
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		expander := template.NewTemplateExpander(context.Background(), text, name, data, model.TimeFromUnixNano(at.UnixNano()), nil, &url.URL{}, []string{"missingkey=error"})
		if _, err := expander.Expand(); err != nil {
			wrong("%s: %s: %v", of.Alert, name, err)
		}
	}
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "exposition" {
		exposition(os.Args[2])
		return
	}
	var found rules
	read(os.Args[1], &found)
	byName := map[string]rule{}
	for _, group := range found.Spec.Groups {
		for _, rule := range group.Rules {
			byName[rule.Alert] = rule
		}
	}
	var cases cases
	read(os.Args[2], &cases)
	seen := map[string]map[bool]bool{}
	for _, test := range cases.Tests {
		in := &store{}
		for _, series := range test.InputSeries {
			metric, values, err := parse.ParseSeriesDesc(series.Series + " " + series.Values)
			must(0, err)
			var samples []chunks.Sample
			for i, value := range values {
				if !value.Omitted {
					samples = append(samples, sample{int64(i) * test.Interval.Milliseconds(), value.Value})
				}
			}
			in.series = append(in.series, storage.NewListSeries(metric, samples))
		}
		for _, check := range test.Checks {
			if _, ok := byName[check.Alert]; !ok {
				wrong("%s: unknown alert", test.Name)
			} else if got := fires(byName[check.Alert], in, check.At, test.Interval); got != check.Fires {
				wrong("%s: fires is %v", test.Name, got)
			}
			if seen[check.Alert] == nil {
				seen[check.Alert] = map[bool]bool{}
			}
			seen[check.Alert][check.Fires] = true
		}
	}
	for name := range byName {
		if len(seen[name]) != 2 {
			wrong("%s: must have a case in which it fires and a case in which it does not", name)
		}
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	must(0, json.Unmarshal(must(os.ReadFile(os.Args[3])), &dashboard))
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			// Grafana replaces the variable by a duration.
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			if _, err := parse.ParseExpr(expr); err != nil {
				wrong("%s: %v", target.Expr, err)
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}
