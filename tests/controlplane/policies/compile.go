// The API server's own compiled policies, and what is seen of them while they run.
package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	_ "unsafe" // for linkname

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
)

// The two functions that the plugins compile policies with. They are not exported, and a copy of them would prove
// nothing about the next version.
//
//go:linkname compileValidating k8s.io/apiserver/pkg/admission/plugin/policy/validating.compilePolicy
func compileValidating(*admissionregistration.ValidatingAdmissionPolicy) validating.Validator

//go:linkname compileMutating k8s.io/apiserver/pkg/admission/plugin/policy/mutating.compilePolicy
func compileMutating(*admissionregistration.MutatingAdmissionPolicy) mutating.PolicyEvaluator

// expression is one compiled expression of a policy. It runs as the original does, and writes down cost and errors,
// which the API server keeps to itself: it adds costs up only to compare them with a limit, and it drops the errors of
// messages and, with failurePolicy Ignore, all others.
type expression struct {
	cel.Program
	policy, path            string
	stage                   stage
	count, cost, most, time atomic.Uint64
}

func (e *expression) ContextEval(ctx context.Context, activation any) (ref.Val, *cel.EvalDetails, error) {
	start := time.Now()
	value, details, err := e.Program.ContextEval(ctx, activation)
	e.time.Add(uint64(time.Since(start)))
	var cost uint64
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	e.count.Add(1)
	e.cost.Add(cost)
	for most := e.most.Load(); cost > most && !e.most.CompareAndSwap(most, cost); most = e.most.Load() {
	}
	observationOf(ctx).evaluated(e, cost, err)
	return value, details, err
}

// stage is the kind of an expression.
type stage int

const (
	matchStage stage = iota
	variableStage
	validationStage
	messageStage
	annotationStage
	mutationStage
)

// observer puts an expression around each program of a policy.
type observer struct {
	policy      string
	expressions []*expression
	seen        map[any]bool
}

// observe finds the compiled programs below a value, which are in fields that are not exported. It looks only into
// types of the admission plugins. The index is that of the list which the value is in.
func (o *observer) observe(value reflect.Value, index int) (err error) {
	switch value.Kind() {
	case reflect.Interface:
		return o.observe(value.Elem(), index)
	case reflect.Pointer:
		if !value.IsNil() && !o.seen[value.UnsafePointer()] {
			o.seen[value.UnsafePointer()] = true
			return o.observe(value.Elem(), index)
		}
	case reflect.Slice:
		for i := 0; i < value.Len() && err == nil; i++ {
			err = o.observe(value.Index(i), i)
		}
	case reflect.Struct:
		if value.Type() == reflect.TypeFor[plugincel.CompilationResult]() {
			result := (*plugincel.CompilationResult)(value.Addr().UnsafePointer())
			*result, err = o.replace(*result, index)
		} else if strings.HasPrefix(value.Type().PkgPath(), "k8s.io/apiserver/pkg/admission/plugin") {
			for i := 0; i < value.NumField() && err == nil; i++ {
				err = o.observe(value.Field(i), index)
			}
		}
	case reflect.Map:
		if value.Type() == reflect.TypeFor[map[string]plugincel.CompilationResult]() {
			variables := *(*map[string]plugincel.CompilationResult)(value.Addr().UnsafePointer())
			for name, result := range variables {
				if variables[name], err = o.replace(result, 0); err != nil {
					return err
				}
			}
		}
	}
	return err
}

func (o *observer) replace(result plugincel.CompilationResult, index int) (plugincel.CompilationResult, error) {
	if result.Program == nil {
		return result, nil
	}
	e := &expression{Program: result.Program, policy: o.policy}
	switch accessor := result.ExpressionAccessor.(type) {
	case *matchconditions.MatchCondition:
		e.stage, e.path = matchStage, "matchConditions."+accessor.Name
	case *validating.Variable:
		e.stage, e.path = variableStage, "variables."+accessor.Name
	case *validating.AuditAnnotationCondition:
		e.stage, e.path = annotationStage, "auditAnnotations."+accessor.Key
	case *validating.ValidationCondition:
		e.stage, e.path = validationStage, fmt.Sprintf("validations[%d].expression", index)
	case *validating.MessageExpressionCondition:
		e.stage, e.path = messageStage, fmt.Sprintf("validations[%d].messageExpression", index)
	case *patch.JSONPatchCondition:
		e.stage, e.path = mutationStage, fmt.Sprintf("mutations[%d]", index)
	default:
		return result, fmt.Errorf("expressions of the kind %T are not supported", accessor)
	}
	o.expressions = append(o.expressions, e)
	result.Program = e
	return result, nil
}
