// Checks of policies before any request: those of the API server when it stores them, and the type checker.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	internal "k8s.io/kubernetes/pkg/apis/admissionregistration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicybinding"
	"sigs.k8s.io/yaml"
)

// problem is one error or warning about a policy.
type problem struct {
	Policy  string `json:"policy"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// strict denies unknown fields, as the API server does for kubectl.
var strict = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)

// decode reads a policy or a binding, with the API server's defaults.
func decode(policy []byte, version schema.GroupVersion) (runtime.Object, error) {
	return runtime.Decode(strict.UniversalDecoder(version), policy)
}

// validatePolicies returns the errors for which the API server would not create the objects.
func validatePolicies(policies []json.RawMessage) []problem {
	ctx := genericrequest.WithNamespace(context.Background(), metav1.NamespaceNone)
	version := admissionregistration.SchemeGroupVersion
	ctx = genericrequest.WithRequestInfo(ctx, &genericrequest.RequestInfo{APIGroup: version.Group, APIVersion: version.Version})
	problems := []problem{}
	for _, found := range each(policies, func(policy json.RawMessage) []problem { return validatePolicy(ctx, policy) }) {
		problems = append(problems, found...)
	}
	return problems
}

// each calls a function for all policies at once, since they take long to compile. The results are in order.
func each[T any](policies []json.RawMessage, do func(json.RawMessage) T) []T {
	results := make([]T, len(policies))
	var running sync.WaitGroup
	for i, policy := range policies {
		running.Go(func() { results[i] = do(policy) })
	}
	running.Wait()
	return results
}

func validatePolicy(ctx context.Context, policy json.RawMessage) []problem {
	object, err := decode(policy, internal.SchemeGroupVersion)
	if err != nil {
		return []problem{{Message: err.Error()}}
	}
	var strategy rest.RESTCreateStrategy
	switch object.(type) {
	case *internal.ValidatingAdmissionPolicy:
		strategy = validatingadmissionpolicy.NewStrategy(nil, nil)
	case *internal.MutatingAdmissionPolicy:
		strategy = mutatingadmissionpolicy.NewStrategy(nil, nil)
	case *internal.ValidatingAdmissionPolicyBinding:
		strategy = validatingadmissionpolicybinding.NewStrategy(nil, nil, nil)
	case *internal.MutatingAdmissionPolicyBinding:
		strategy = mutatingadmissionpolicybinding.NewStrategy(nil, nil, nil)
	default:
		return []problem{{Message: fmt.Sprintf("neither a policy nor a binding: %T", object)}}
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return []problem{{Message: err.Error()}}
	}
	rest.FillObjectMetaSystemFields(accessor)
	name := accessor.GetName()
	err = rest.BeforeCreate(strategy, ctx, object)
	var status *apierrors.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && status.ErrStatus.Details != nil && len(status.ErrStatus.Details.Causes) > 0:
		var problems []problem
		for _, cause := range status.ErrStatus.Details.Causes {
			problems = append(problems, problem{name, cause.Field, cause.Message})
		}
		return problems
	default:
		return []problem{{Policy: name, Message: err.Error()}}
	}
}

// typecheckPolicies returns the warnings of the type checker for validating policies; it knows no others. It skips a
// rule for a subresource, so here each such rule is read as one for the resource.
func typecheckPolicies(policies []json.RawMessage, files string) ([]problem, error) {
	schemas, mapper := published{}, meta.NewDefaultRESTMapper(nil)
	for _, file := range strings.Split(files, ",") {
		if err := schemas.add(file, mapper); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	checker := validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: served{published: schemas}},
		RestMapper:     mapper,
	}
	problems := []problem{}
	for _, policy := range policies {
		object, err := decode(policy, admissionregistration.SchemeGroupVersion)
		if err != nil {
			return nil, err
		}
		checked, ok := object.(*validating.Policy)
		if !ok {
			continue
		}
		for _, rule := range checked.Spec.MatchConstraints.ResourceRules {
			for i, resource := range rule.Resources {
				rule.Resources[i] = strings.TrimSuffix(resource, "/status")
			}
		}
		for _, warning := range checker.Check(checked) {
			problems = append(problems, problem{checked.Name, warning.FieldRef, warning.Warning})
		}
	}
	return problems, nil
}

// published are the OpenAPI documents of an API server that has some CRDs.
type published map[schema.GroupVersion]*spec3.OpenAPI

// add builds the document of a CRD as the API server does.
func (p published) add(file string, mapper *meta.DefaultRESTMapper) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd apiextensions.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		document, err := builder.BuildOpenAPIV3(&crd, version.Name, builder.Options{})
		if err != nil {
			return err
		}
		gv := schema.GroupVersion{Group: crd.Spec.Group, Version: version.Name}
		if other := p[gv]; other != nil {
			if document, err = builder.MergeSpecsV3(other, document); err != nil {
				return err
			}
		}
		p[gv] = document
		mapper.AddSpecific(gv.WithKind(crd.Spec.Names.Kind), gv.WithResource(crd.Spec.Names.Plural),
			gv.WithResource(crd.Spec.Names.Singular), meta.RESTScopeNamespace)
	}
	return nil
}

// served is as much of a discovery client as the resolver of schemas needs.
type served struct {
	discovery.DiscoveryInterface
	published published
}

func (s served) OpenAPIV3() openapi.Client { return s }

func (s served) Paths() (map[string]openapi.GroupVersion, error) {
	paths := map[string]openapi.GroupVersion{}
	for gv, document := range s.published {
		paths["apis/"+gv.String()] = servedDocument{document}
	}
	return paths, nil
}

type servedDocument struct{ document *spec3.OpenAPI }

func (d servedDocument) Schema(string) ([]byte, error) { return json.Marshal(d.document) }

func (d servedDocument) ServerRelativeURL() string { return "" }
