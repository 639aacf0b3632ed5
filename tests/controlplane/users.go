package main

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// user is a person or a ServiceAccount of the tests, identified by a client certificate.
type user struct {
	name     string // names the kubeconfig
	username string
	groups   []string
}

// users is the value of the flag -user.
type users []user

func (u *users) String() string { return "" }

func (u *users) Set(text string) error {
	name, rest, ok := strings.Cut(text, "=")
	words := strings.Split(rest, ",")
	if !ok || name == "" || words[0] == "" || name != filepath.Base(name) {
		return fmt.Errorf("want NAME=USERNAME[,GROUP...], as in developer=jane,team-a")
	}
	*u = append(*u, user{name: name, username: words[0], groups: words[1:]})
	return nil
}

// kubeconfigs writes a self-contained kubeconfig for each user and returns their paths.
func (a *authority) kubeconfigs(address string, users []user) (map[string]string, error) {
	ca, err := os.ReadFile(a.caFile)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, user := range users {
		pair, err := a.sign("user-"+user.name, pkix.Name{CommonName: user.username, Organization: user.groups}, false)
		if err != nil {
			return nil, err
		}
		config := api.NewConfig()
		config.Clusters["tests"] = &api.Cluster{Server: address, CertificateAuthorityData: ca}
		config.AuthInfos[user.name] = &api.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}
		config.Contexts["tests"] = &api.Context{Cluster: "tests", AuthInfo: user.name}
		config.CurrentContext = "tests"
		paths[user.name] = filepath.Join(a.dir, user.name+".kubeconfig")
		if err := clientcmd.WriteToFile(*config, paths[user.name]); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// restConfig reads a kubeconfig, and turns off the rate limit that is meant for shared clusters.
func restConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 500, 1000
	return config, nil
}
