// One request through the mutating and then the validating policies.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/warning"
	listers "k8s.io/client-go/listers/core/v1"
)

// groupVersion is that of all objects.
var groupVersion = schema.GroupVersion{Group: "scanning.apps.tanzu.vmware.com", Version: "v1beta1"}

type request struct {
	ID          json.RawMessage     `json:"id"`
	Operation   admission.Operation `json:"operation"`
	Resource    string              `json:"resource"`
	Subresource string              `json:"subresource"`
	Kind        string              `json:"kind"`
	Object      json.RawMessage     `json:"object"`
	OldObject   json.RawMessage     `json:"oldObject"`
	User        string              `json:"user"`
	Groups      []string            `json:"groups"`
	Namespace   string              `json:"namespace"`
}

type result struct {
	ID json.RawMessage `json:"id"`
	// Denied is the message of the client if a mutating or validating policy denies the request.
	Denied string `json:"denied,omitempty"`
	// Validations are those that fail or end with an error.
	Validations []validation `json:"validations"`
	// AuditAnnotations are those of the audit log: by policy/key, and the server's own for bindings that audit.
	AuditAnnotations map[string]string `json:"auditAnnotations"`
	// Errors of all other expressions, whatever the failurePolicy. A message with an error falls back to the static one.
	MatchErrors      []evaluationError `json:"matchErrors"`
	VariableErrors   []evaluationError `json:"variableErrors"`
	MessageErrors    []evaluationError `json:"messageErrors"`
	AnnotationErrors []evaluationError `json:"annotationErrors"`
	MutationErrors   []evaluationError `json:"mutationErrors"`
	// Warnings are those of bindings that warn.
	Warnings []string `json:"warnings,omitempty"`
	// Cost is the sum over all expressions, by policy.
	Cost map[string]uint64 `json:"cost"`
	// Mutated is the object after the mutating policies, if they change it.
	Mutated map[string]any `json:"mutated,omitempty"`
	// Error says why the request could not be evaluated.
	Error string `json:"error,omitempty"`
}

type validation struct {
	Policy  string              `json:"policy"`
	Index   int                 `json:"index"` // -1: the policy as a whole, by an error outside its validations
	OK      bool                `json:"ok"`
	Message string              `json:"message"`
	Reason  metav1.StatusReason `json:"reason,omitempty"`
	Error   string              `json:"error,omitempty"`
}

// evaluationError is an error of one expression.
type evaluationError struct {
	Policy     string `json:"policy"`
	Expression string `json:"expression"`
	Error      string `json:"error"`
}

// evaluator has the compiled policies. It is safe for use by several goroutines.
type evaluator struct {
	mutating    generic.Dispatcher[mutating.PolicyHook]
	validating  generic.Dispatcher[validating.PolicyHook]
	mutations   []mutating.PolicyHook
	validations []validating.PolicyHook
	interfaces  admission.ObjectInterfaces
	expressions []*expression
}

// compiled is a policy or a binding, with what a policy is compiled to.
type compiled struct {
	object    runtime.Object
	validator validating.Validator
	mutator   mutating.PolicyEvaluator
	err       error
}

func compile(policy json.RawMessage) (c compiled) {
	c.object, c.err = decode(policy, admissionregistration.SchemeGroupVersion)
	switch object := c.object.(type) {
	case *validating.Policy:
		c.validator = compileValidating(object)
	case *mutating.Policy:
		c.mutator = compileMutating(object)
	}
	return c
}

func newEvaluator(policies []json.RawMessage) (*evaluator, error) {
	matcher := matching.NewMatcher(namespaces{}, nil)
	nobody := authorizerfactory.NewAlwaysDenyAuthorizer()
	e := &evaluator{
		mutating:   mutating.NewDispatcher(nobody, matcher, converters{}),
		validating: validating.NewDispatcher(nobody, generic.NewPolicyMatcher(matcher)),
		interfaces: admission.NewObjectInterfacesFromScheme(runtime.NewScheme()),
	}
	validatingBindings := map[string][]*validating.PolicyBinding{}
	mutatingBindings := map[string][]*mutating.PolicyBinding{}
	for _, compiled := range each(policies, compile) {
		switch object := compiled.object.(type) {
		case *validating.Policy:
			evaluator := compiled.validator
			if err := e.observe(object.Name, &evaluator, expressionsOfValidating(object)); err != nil {
				return nil, err
			}
			e.validations = append(e.validations, validating.PolicyHook{Policy: object, Evaluator: observedValidator{evaluator, object}})
		case *mutating.Policy:
			evaluator := compiled.mutator
			if err := e.observe(object.Name, &evaluator, expressionsOfMutating(object)); err != nil {
				return nil, err
			}
			for i, mutator := range evaluator.Mutators {
				evaluator.Mutators[i] = observedPatcher{mutator, object.Name, i}
			}
			e.mutations = append(e.mutations, mutating.PolicyHook{Policy: object, Evaluator: evaluator})
		case *validating.PolicyBinding:
			validatingBindings[object.Spec.PolicyName] = append(validatingBindings[object.Spec.PolicyName], object)
		case *mutating.PolicyBinding:
			mutatingBindings[object.Spec.PolicyName] = append(mutatingBindings[object.Spec.PolicyName], object)
		default:
			return nil, fmt.Errorf("neither a policy nor a binding: %T %w", object, compiled.err)
		}
	}
	e.bind(validatingBindings, mutatingBindings)
	return e, nil
}

// bind gives each policy its bindings, or one that denies everywhere.
func (e *evaluator) bind(validatingBindings map[string][]*validating.PolicyBinding, mutatingBindings map[string][]*mutating.PolicyBinding) {
	for i := range e.validations {
		hook := &e.validations[i]
		if hook.Bindings = validatingBindings[hook.Policy.Name]; hook.Bindings == nil {
			binding := &validating.PolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: hook.Policy.Name}}
			binding.Spec.PolicyName = hook.Policy.Name
			binding.Spec.ValidationActions = []admissionregistration.ValidationAction{admissionregistration.Deny}
			hook.Bindings = []*validating.PolicyBinding{binding}
		}
	}
	for i := range e.mutations {
		hook := &e.mutations[i]
		if hook.Bindings = mutatingBindings[hook.Policy.Name]; hook.Bindings == nil {
			binding := &mutating.PolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: hook.Policy.Name}}
			binding.Spec.PolicyName = hook.Policy.Name
			hook.Bindings = []*mutating.PolicyBinding{binding}
		}
	}
}

// observe finds all expressions of a policy, or the API server keeps them elsewhere since its last version.
func (e *evaluator) observe(policy string, evaluator any, expected int) error {
	o := observer{policy: policy, seen: map[any]bool{}}
	if err := o.observe(reflect.ValueOf(evaluator), 0); err != nil {
		return fmt.Errorf("%s: %w", policy, err)
	}
	if len(o.expressions) != expected {
		return fmt.Errorf("%s: it has %d expressions, and %d are compiled", policy, expected, len(o.expressions))
	}
	e.expressions = append(e.expressions, o.expressions...)
	return nil
}

func expressionsOfValidating(policy *validating.Policy) int {
	count := len(policy.Spec.MatchConditions) + len(policy.Spec.Variables) + len(policy.Spec.AuditAnnotations)
	for _, v := range policy.Spec.Validations {
		count++
		if v.MessageExpression != "" {
			count++
		}
	}
	return count
}

func expressionsOfMutating(policy *mutating.Policy) int {
	return len(policy.Spec.MatchConditions) + len(policy.Spec.Variables) + len(policy.Spec.Mutations)
}

// answer evaluates the request on a line and returns its result as a line. Without an evaluator, which policies with
// problems do not have, the result is an error.
func (e *evaluator) answer(line []byte) []byte {
	out := &result{
		Validations: []validation{}, AuditAnnotations: map[string]string{}, Cost: map[string]uint64{},
		MatchErrors: []evaluationError{}, VariableErrors: []evaluationError{}, MessageErrors: []evaluationError{},
		AnnotationErrors: []evaluationError{}, MutationErrors: []evaluationError{},
	}
	var r request
	err := json.Unmarshal(line, &r)
	out.ID = r.ID
	if err == nil && e == nil {
		err = errors.New("the policies have problems")
	}
	if err == nil {
		err = e.evaluate(&r, out)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return encode(out)
}

// encode returns the result as a line. A result that JSON cannot express becomes its error.
func encode(out *result) []byte {
	line, err := encodeLine(out)
	if err != nil {
		return encode(&result{ID: out.ID, Error: err.Error()})
	}
	return line
}

func encodeLine(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return buffer.Bytes(), err
}

func (e *evaluator) evaluate(r *request, out *result) error {
	attributes, err := r.attributes(out)
	if err != nil {
		return err
	}
	ctx := context.WithValue(context.Background(), observationKey{}, &observation{out})
	ctx = warning.WithWarningRecorder(ctx, out)
	if r.Operation != admission.Delete {
		object := attributes.GetObject().(*unstructured.Unstructured)
		before := object.Object
		if err := e.mutate(ctx, attributes); err != nil {
			out.Denied = err.Error()
			return nil
		}
		if !reflect.DeepEqual(before, object.Object) {
			out.Mutated = object.Object
		}
	}
	if err := e.validating.Dispatch(ctx, attributes, e.interfaces, e.validations); err != nil {
		out.Denied = err.Error()
	}
	return nil
}

// mutate calls the mutating policies a second time if they changed the object, as the server's admission chain does.
// Then only policies with reinvocationPolicy IfNeeded run.
func (e *evaluator) mutate(ctx context.Context, attributes admission.Attributes) error {
	if err := e.mutating.Dispatch(ctx, attributes, e.interfaces, e.mutations); err != nil {
		return err
	}
	reinvocation := attributes.GetReinvocationContext()
	if !reinvocation.ShouldReinvoke() {
		return nil
	}
	reinvocation.SetIsReinvoke()
	return e.mutating.Dispatch(ctx, attributes, e.interfaces, e.mutations)
}

func (r *request) attributes(out *result) (admission.Attributes, error) {
	kind := groupVersion.WithKind(r.Kind)
	object, err := r.decode(r.Object, kind)
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	old, err := r.decode(r.OldObject, kind)
	if err != nil {
		return nil, fmt.Errorf("oldObject: %w", err)
	}
	var options runtime.Object
	var named *unstructured.Unstructured
	switch {
	case r.Operation == admission.Create && object != nil && old == nil:
		options, named = &metav1.CreateOptions{}, object
	case r.Operation == admission.Update && object != nil && old != nil:
		options, named = &metav1.UpdateOptions{}, object
	case r.Operation == admission.Delete && object == nil && old != nil:
		options, named = &metav1.DeleteOptions{}, old
	default:
		return nil, errors.New("CREATE has an object, DELETE has an oldObject, UPDATE has both")
	}
	options.GetObjectKind().SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind(reflect.TypeOf(options).Elem().Name()))
	// A nil pointer must not get into an interface.
	var newObject, oldObject runtime.Object
	if object != nil {
		newObject = object
	}
	if old != nil {
		oldObject = old
	}
	record := admission.NewAttributesRecord(newObject, oldObject, kind, r.Namespace, named.GetName(),
		groupVersion.WithResource(r.Resource), r.Subresource, r.Operation, options, false,
		&user.DefaultInfo{Name: r.User, Groups: r.Groups})
	return &annotated{record, out}, nil
}

// decode reads a JSON object as the API server reads a custom resource: a number is int64 if it has no fraction and
// fits, else float64. The API server lets only objects of the kind of the request through, so the kind is set.
func (r *request) decode(raw json.RawMessage, kind schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	object := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(raw, &object.Object); err != nil {
		return nil, err
	}
	object.SetGroupVersionKind(kind)
	return object, nil
}

// annotated collects the audit annotations.
type annotated struct {
	admission.Attributes
	out *result
}

func (a *annotated) AddAnnotation(key, value string) error {
	a.out.AuditAnnotations[key] = value
	return nil
}

// AddWarning makes a result a recorder of warnings.
func (r *result) AddWarning(_, text string) {
	r.Warnings = append(r.Warnings, text)
}

// observation leads from the context of an evaluation to its result.
type observation struct{ out *result }

type observationKey struct{}

func observationOf(ctx context.Context) *observation {
	return ctx.Value(observationKey{}).(*observation)
}

func (o *observation) evaluated(e *expression, cost uint64, err error) {
	o.out.Cost[e.policy] += cost
	if err == nil {
		return
	}
	failed := evaluationError{e.policy, e.path, err.Error()}
	switch e.stage {
	case matchStage:
		o.out.MatchErrors = append(o.out.MatchErrors, failed)
	case variableStage:
		o.out.VariableErrors = append(o.out.VariableErrors, failed)
	case messageStage:
		o.out.MessageErrors = append(o.out.MessageErrors, failed)
	case annotationStage:
		o.out.AnnotationErrors = append(o.out.AnnotationErrors, failed)
	case validationStage, mutationStage: // see observedValidator and observedPatcher
	}
}

// observedValidator writes down the decisions of a policy, of which the client sees the first only.
type observedValidator struct {
	validating.Validator
	policy *validating.Policy
}

func (v observedValidator) Validate(
	ctx context.Context, resource schema.GroupVersionResource, attributes *admission.VersionedAttributes,
	params runtime.Object, namespace *corev1.Namespace, budget int64, authorizer authorizer.Authorizer,
) validating.ValidateResult {
	all := v.Validator.Validate(ctx, resource, attributes, params, namespace, budget, authorizer)
	out := observationOf(ctx).out
	for i, decision := range all.Decisions {
		if decision.Evaluation == validating.EvalAdmit {
			continue
		}
		found := validation{Policy: v.policy.Name, Index: i, Message: decision.Message, Reason: decision.Reason}
		if decision.Evaluation == validating.EvalError {
			found.Message, found.Error = "", decision.Message
		}
		if all.AuditAnnotations == nil {
			found.Index = -1
		}
		out.Validations = append(out.Validations, found)
	}
	return all
}

// observedPatcher writes down the errors of a mutation, which failurePolicy Ignore hides.
type observedPatcher struct {
	patch.Patcher
	policy string
	index  int
}

func (p observedPatcher) Patch(ctx context.Context, request patch.Request, budget int64) (runtime.Object, error) {
	object, err := p.Patcher.Patch(ctx, request, budget)
	if err != nil {
		out := observationOf(ctx).out
		out.MutationErrors = append(out.MutationErrors, evaluationError{p.policy, fmt.Sprintf("mutations[%d]", p.index), err.Error()})
	}
	return object, err
}

// namespaces has a namespace of each name, with the label that the API server gives to all.
type namespaces struct{ listers.NamespaceLister }

func (namespaces) Get(name string) (*corev1.Namespace, error) {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}}, nil
}

// converters gives the dispatcher a type converter, without which it mutates nothing. A JSON patch does not use it.
type converters struct{}

func (converters) GetTypeConverter(schema.GroupVersionKind) managedfields.TypeConverter {
	return managedfields.NewDeducedTypeConverter()
}

func (converters) Run(context.Context) {}
