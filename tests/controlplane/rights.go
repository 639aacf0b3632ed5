package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// rights compares the rights that a user was granted with the requests that it made. The decisions are those of the
// API server's own authorizer, as recorded in the audit log; the roles are the current ones of the cluster.
type rights struct {
	Used   []string `json:"used"`
	Unused []string `json:"unused"` // granted but never used
	Denied []string `json:"denied"` // requested but denied
}

// permission is one verb on one resource (and name), granted by one role, in one namespace or in all.
type permission struct {
	rule      rbacv1.PolicyRule
	namespace string
	role      string
}

func (p permission) String() string {
	text := fmt.Sprintf("%s: %s", p.role, ruleText(p.rule))
	if p.namespace != "" {
		text += " in " + p.namespace
	}
	return text
}

func ruleText(rule rbacv1.PolicyRule) string {
	words := slices.Concat(rule.Verbs, rule.Resources, rule.NonResourceURLs)
	if len(rule.APIGroups) > 0 && rule.APIGroups[0] != "" {
		words[1] += "." + rule.APIGroups[0]
	}
	return strings.Join(append(words, rule.ResourceNames...), " ")
}

func rightsOf(ctx context.Context, client kubernetes.Interface, auditLog, username string) (rights, error) {
	granted, err := permissionsOf(ctx, client, username)
	if err != nil {
		return rights{}, err
	}
	file, err := os.Open(auditLog)
	if err != nil {
		return rights{}, err
	}
	defer file.Close()

	used, unused, denied := map[string]bool{}, map[string]bool{}, map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20) // the limit of a line; an event of level Metadata has a few KB
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return rights{}, fmt.Errorf("%s: %w", auditLog, err)
		}
		if event.User.Username != username {
			continue
		}
		request, namespace := requestOf(&event)
		if event.Annotations["authorization.k8s.io/decision"] == "forbid" {
			text := ruleText(request)
			if namespace != "" {
				text += " in " + namespace
			}
			denied[text] = true
			continue
		}
		for _, permission := range granted {
			if permission.namespace == "" || permission.namespace == namespace {
				if ok, _ := validation.Covers([]rbacv1.PolicyRule{permission.rule}, []rbacv1.PolicyRule{request}); ok {
					used[permission.String()] = true
				}
			}
		}
	}
	for _, permission := range granted {
		if text := permission.String(); !used[text] {
			unused[text] = true
		}
	}
	return rights{sorted(used), sorted(unused), sorted(denied)}, lines.Err()
}

// permissionsOf returns the permissions that bindings grant to the user by name, without those that every user has
// through groups.
func permissionsOf(ctx context.Context, client kubernetes.Interface, username string) ([]permission, error) {
	var granted []permission
	grant := func(namespace, role string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, one := range validation.BreakdownRule(rule) {
				granted = append(granted, permission{one, namespace, role})
			}
		}
	}
	rbac := client.RbacV1()
	clusterBindings, err := rbac.ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range clusterBindings.Items {
		if isSubject(binding.Subjects, username) {
			role, err := rbac.ClusterRoles().Get(ctx, binding.RoleRef.Name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			grant("", "ClusterRole "+role.Name, role.Rules)
		}
	}
	bindings, err := rbac.RoleBindings("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range bindings.Items {
		if !isSubject(binding.Subjects, username) {
			continue
		}
		var rules []rbacv1.PolicyRule
		if binding.RoleRef.Kind == "ClusterRole" {
			role, err := rbac.ClusterRoles().Get(ctx, binding.RoleRef.Name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			rules = role.Rules
		} else {
			role, err := rbac.Roles(binding.Namespace).Get(ctx, binding.RoleRef.Name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			rules = role.Rules
		}
		grant(binding.Namespace, binding.RoleRef.Kind+" "+binding.RoleRef.Name, rules)
	}
	return granted, nil
}

func isSubject(subjects []rbacv1.Subject, username string) bool {
	return slices.ContainsFunc(subjects, func(subject rbacv1.Subject) bool {
		if subject.Kind == rbacv1.ServiceAccountKind {
			return username == "system:serviceaccount:"+subject.Namespace+":"+subject.Name
		}
		return subject.Kind == rbacv1.UserKind && subject.Name == username
	})
}

// requestOf returns the narrowest rule that allows an audited request.
func requestOf(event *auditv1.Event) (rule rbacv1.PolicyRule, namespace string) {
	rule.Verbs = []string{event.Verb}
	object := event.ObjectRef
	if object == nil {
		path, _, _ := strings.Cut(event.RequestURI, "?")
		rule.NonResourceURLs = []string{path}
		return rule, ""
	}
	resource := object.Resource
	if object.Subresource != "" {
		resource += "/" + object.Subresource
	}
	rule.APIGroups, rule.Resources = []string{object.APIGroup}, []string{resource}
	if object.Name != "" {
		rule.ResourceNames = []string{object.Name}
	}
	return rule, object.Namespace
}

func sorted(set map[string]bool) []string {
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(set))))
}
