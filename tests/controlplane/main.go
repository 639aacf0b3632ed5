// controlplane is the cluster of the tests: etcd, kube-apiserver and the
// namespace controller in one process on loopback. It ends when the tests end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

const (
	startLimit = 180 * time.Second // ready in 3 s on an idle machine, in 15 s with policies in static manifests
	stopLimit  = 10 * time.Second // stops in under 1 s; open watches must not delay it
)

// ready is the line that is printed when the control plane is ready. It has the addresses and files that the tests
// need.
type ready struct {
	Address       string            `json:"address"`
	Version       string            `json:"version"`
	Folder        string            `json:"folder"`
	CA            string            `json:"ca"`
	Kubeconfigs   map[string]string `json:"kubeconfigs"`
	AuditLog      string            `json:"auditLog"`
	WebhookClient webhookClient     `json:"webhookClient"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}

func run() (err error) {
	var users users
	flag.Var(&users, "user", "`NAME=USERNAME[,GROUP...]`: writes a kubeconfig with a client certificate; may be repeated (the user admin always exists)")
	folder := flag.String("folder", "", "folder for certificates, kubeconfigs, audit log and data; must be new or empty, and is removed at the end (default: a new one in the temporary folder)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "controlplane [flags] [-- flags of kube-apiserver]\n\nStops on SIGTERM, SIGINT and at the end of stdin. Answers each line `rights USERNAME` on stdin with one line of JSON.")
		flag.PrintDefaults()
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		time.AfterFunc(2*stopLimit, func() { klog.OsExit(1) })
	})

	dir, err := emptyFolder(*folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// A start-up hook of the API server that is interrupted calls this function to end the process.
	klog.OsExit = func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}

	// The parent holds the other end of stdin, which closes when the parent ends for any reason.
	lines := make(chan string)
	go func() {
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
		cancel(io.EOF)
	}()

	pki, err := newAuthority(dir)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, dir)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.stop()

	server, err := startAPIServer(ctx, dir, etcd.endpoint, pki, flag.Args())
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	defer server.stop()

	users = append(users, user{name: "admin", username: "kubernetes-admin", groups: []string{"system:masters"}})
	kubeconfigs, err := pki.kubeconfigs(server.address, users)
	if err != nil {
		return err
	}
	admin, err := restConfig(kubeconfigs["admin"])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return err
	}
	version, err := waitUntilReady(ctx, client, server.ended)
	if err != nil {
		return err
	}
	if err := startControllers(ctx, admin, client); err != nil {
		return err
	}

	auditLog := filepath.Join(dir, auditLogName)
	err = json.NewEncoder(os.Stdout).Encode(ready{
		server.address, version, dir, pki.caFile, kubeconfigs, auditLog, pki.webhookClient,
	})
	if err != nil {
		return err
	}
	for {
		select {
		case line := <-lines:
			answer := answer(ctx, client, auditLog, line)
			if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
				return err
			}
		case err := <-server.ended:
			return fmt.Errorf("kube-apiserver ended unexpectedly: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// answer executes one line of stdin. Errors are returned as an answer too, since the reader waits for one.
func answer(ctx context.Context, client kubernetes.Interface, auditLog, line string) any {
	type failure struct {
		Error string `json:"error"`
	}
	username, ok := strings.CutPrefix(line, "rights ")
	if !ok {
		return failure{fmt.Sprintf("unknown line %q: say `rights USERNAME`", line)}
	}
	rights, err := rightsOf(ctx, client, auditLog, username)
	if err != nil {
		return failure{err.Error()}
	}
	return rights
}

// emptyFolder returns an error if the folder is not empty, because the folder is removed at the end.
func emptyFolder(path string) (string, error) {
	if path == "" {
		return os.MkdirTemp("", "controlplane-")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("-folder %s is not empty: name a new one, since the folder is removed at the end", path)
	}
	return path, err
}
