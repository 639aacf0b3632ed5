package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
)

// process is etcd or the API server, in this process or in its own.
type process struct {
	endpoint string       // of etcd
	address  string       // of the API server
	ended    <-chan error // receives once, when the process has ended
	stop     func()       // returns when the process has ended, or after stopLimit
}

// waitUntilReady polls /readyz. The API server is ready when its post-start hooks have run, bootstrap RBAC among them.
func waitUntilReady(ctx context.Context, client kubernetes.Interface, ended <-chan error) (version string, err error) {
	limit, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(limit)
		if err == nil {
			info, err := client.Discovery().ServerVersion()
			if err != nil {
				return "", err
			}
			return info.GitVersion, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("stopped before the API server was ready: %w", context.Cause(ctx))
		case <-limit.Done():
			return "", fmt.Errorf("not ready within %s, last answer: %w", startLimit, err)
		case cause := <-ended:
			return "", fmt.Errorf("kube-apiserver ended before it was ready: %w", cause)
		case <-tick.C:
		}
	}
}
