// policies evaluates admission policies in CEL as kube-apiserver does, with its own code, in this process.
//
// The first line of the input has the policies: {"policies": [...]}, as JSON objects of kind ValidatingAdmissionPolicy
// and MutatingAdmissionPolicy, and bindings of them. A policy without a binding applies everywhere. Each further line
// is a request, and each line of the output is the result of one, in the same order. See the types request and result.
//
// A later line with policies replaces those of the requests after it. Its result is {"problems": [...]}: the errors for
// which the API server would not store the policies, or an empty list.
//
// Nothing is hidden by a binding or a failurePolicy: all failing validations and all errors are in the result.
//
// With -validate it prints the errors for which the API server would not store the policies; with -typecheck the
// warnings of the type checker that kube-controller-manager writes into their status.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"

	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
)

func main() {
	validate := flag.Bool("validate", false, "print why the API server would not store the policies, and stop")
	typecheck := flag.String("typecheck", "", "print the type checker's warnings for the CRDs of `files` (separated by commas), and stop")
	profile := flag.Bool("profile", false, "at the end, print cost and time of each expression to stderr")
	flag.Parse()
	log.SetFlags(0)
	debug.SetGCPercent(400) // a quarter less processor time for 150 MB
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	line, err := in.ReadBytes('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		log.Fatal("the first line must have the policies: ", err)
	}
	var first struct {
		Policies []json.RawMessage `json:"policies"`
	}
	if err := json.Unmarshal(line, &first); err != nil {
		log.Fatal("the first line must have the policies: ", err)
	}
	switch {
	case *validate:
		write(out, validatePolicies(first.Policies))
	case *typecheck != "":
		if problems := validatePolicies(first.Policies); len(problems) > 0 {
			log.Fatal(problems[0])
		}
		warnings, err := typecheckPolicies(first.Policies, *typecheck)
		if err != nil {
			log.Fatal(err)
		}
		write(out, warnings)
	default:
		load := loadPolicies(first.Policies)
		if _, problems := load(); len(problems) > 0 {
			log.Fatal(problems[0])
		}
		if err := run(load, in, out); err != nil {
			log.Fatal(err)
		}
		if e, _ := load(); *profile {
			e.profile(os.Stderr)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// write prints each value as a line of JSON.
func write[T any](out io.Writer, values []T) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, value := range values {
		if err := encoder.Encode(value); err != nil {
			log.Fatal(err)
		}
	}
}

// loadPolicies returns a function that compiles the policies the first time it is called. It returns no evaluator if
// there are problems.
func loadPolicies(policies []json.RawMessage) func() (*evaluator, []problem) {
	return sync.OnceValues(func() (*evaluator, []problem) {
		problems := validatePolicies(policies)
		if len(problems) > 0 {
			return nil, problems
		}
		e, err := newEvaluator(policies)
		if err != nil {
			return nil, []problem{{Message: err.Error()}}
		}
		return e, problems
	})
}

// run answers each line with a worker for each core, and writes the results in order.
func run(load func() (*evaluator, []problem), in *bufio.Reader, out *bufio.Writer) error {
	type job struct {
		work func() []byte
		done chan []byte
	}
	workers := runtime.GOMAXPROCS(0)
	jobs, ordered := make(chan job, 16*workers), make(chan job, 64*workers)
	var readErr error
	go func() {
		defer close(jobs)
		defer close(ordered)
		for {
			line, err := in.ReadBytes('\n')
			if len(line) > 1 {
				var work func() []byte
				work, load = answerLine(line, load)
				j := job{work, make(chan []byte, 1)}
				ordered <- j
				jobs <- j
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					readErr = err
				}
				return
			}
		}
	}()
	for range workers {
		go func() {
			for j := range jobs {
				j.done <- j.work()
			}
		}()
	}
	for j := range ordered {
		if _, err := out.Write(<-j.done); err != nil {
			return err
		}
		if len(ordered) == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return readErr
}

// answerLine returns what answers a line, and the policies of the lines after it.
func answerLine(line []byte, load func() (*evaluator, []problem)) (func() []byte, func() (*evaluator, []problem)) {
	var later struct {
		Policies *[]json.RawMessage `json:"policies"`
	}
	if err := json.Unmarshal(line, &later); err == nil && later.Policies != nil {
		load := loadPolicies(*later.Policies)
		return func() []byte {
			_, problems := load()
			line, err := encodeLine(map[string][]problem{"problems": problems})
			if err != nil {
				log.Fatal(err) // a problem is made of strings
			}
			return line
		}, load
	}
	return func() []byte {
		e, _ := load()
		return e.answer(line)
	}, load
}

// profile prints one line of JSON for each expression, the most expensive first.
func (e *evaluator) profile(out io.Writer) {
	type line struct {
		Policy          string  `json:"policy"`
		Expression      string  `json:"expression"`
		Evaluations     uint64  `json:"evaluations"`
		MeanCost        float64 `json:"meanCost"`
		MaxCost         uint64  `json:"maxCost"`
		MicrosecondsSum uint64  `json:"microseconds"` // of all evaluations, with those of the variables that they needed
	}
	lines := []line{}
	for _, x := range e.expressions {
		l := line{x.policy, x.path, x.count.Load(), 0, x.most.Load(), x.time.Load() / 1000}
		if l.Evaluations > 0 {
			l.MeanCost = float64(x.cost.Load()) / float64(l.Evaluations)
		}
		lines = append(lines, l)
	}
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].MaxCost > lines[j].MaxCost })
	write(out, lines)
}
