package main

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

const auditLogName = "audit.log"

// auditPolicy leaves out the API server's own loopback client, whose start would fill the log.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: None
  nonResourceURLs: ["/readyz", "/livez", "/healthz"]
- level: Metadata
`

const admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration: &webhooks
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: %q
- name: MutatingAdmissionWebhook
  configuration: *webhooks
`

// apiServerFlags returns the flags of kube-apiserver, which are the same for the library and for a released binary.
func apiServerFlags(dir, etcd string, pki *authority) ([]string, error) {
	server, err := pki.sign("apiserver", pkix.Name{CommonName: "kube-apiserver"}, true)
	if err != nil {
		return nil, err
	}
	tokens, err := pki.sign("tokens", pkix.Name{CommonName: "service-account-tokens"}, false)
	if err != nil {
		return nil, err
	}
	admission, err := admissionConfig(dir, pki)
	if err != nil {
		return nil, err
	}
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // a reconciler would publish the loopback address, which is not a valid endpoint
		"--tls-cert-file=" + server.certificateFile,
		"--tls-private-key-file=" + server.keyFile,
		"--client-ca-file=" + pki.caFile,
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + tokens.certificateFile,
		"--service-account-signing-key-file=" + tokens.keyFile,
		"--admission-control-config-file=" + admission,
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + filepath.Join(dir, auditLogName),
		"--audit-log-mode=blocking", // a test reads the entry of its own request immediately
		"--profiling=false",
	}, nil
}

// admissionConfig writes a configuration with which the API server presents a client certificate to every webhook that
// asks for one.
func admissionConfig(dir string, pki *authority) (string, error) {
	client, err := pki.sign("webhook-client", pkix.Name{CommonName: pki.webhookClient.Name}, false)
	if err != nil {
		return "", err
	}
	config := api.NewConfig()
	config.AuthInfos["*"] = &api.AuthInfo{ClientCertificate: client.certificateFile, ClientKey: client.keyFile}
	kubeconfig := filepath.Join(dir, "webhooks.kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "admission.yaml")
	return path, os.WriteFile(path, fmt.Appendf(nil, admissionConfiguration, kubeconfig), 0o600)
}
