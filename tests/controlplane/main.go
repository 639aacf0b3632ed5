// controlplane is the cluster of the tests: etcd, kube-apiserver and the
// namespace controller in one process, on loopback, gone when the tests are.
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
	startLimit = 60 * time.Second // ready in 3 s on an idle machine; a busy CI is not 20 times slower
	stopLimit  = 10 * time.Second // stops in under 1 s; open watches must not hold it
)

// ready is the one line that tells the tests where everything is.
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
	flag.Var(&users, "user", "`NAME=USERNAME[,GROUP...]`: writes a kubeconfig with a client certificate; may be repeated (admin is always there)")
	folder := flag.String("folder", "", "where certificates, kubeconfigs, audit log and data go: a new or empty folder, removed at the end (default: one in the temporary folder)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "controlplane [flags] [-- flags of kube-apiserver]\n\nStops on SIGTERM, SIGINT and at the end of stdin. A line `rights USERNAME` on stdin is answered by one line of JSON.")
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
	// A hook of the API server that is interrupted in its start ends the process this way.
	klog.OsExit = func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}

	// The parent holds the other end of stdin: it closes when the parent ends, however it ends.
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
			return fmt.Errorf("kube-apiserver ended by itself: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// answer carries out one line of stdin; mistakes are told in the answer, since the reader waits for one.
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

// emptyFolder rejects a folder with something in it, because the folder is removed at the end.
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
		err = fmt.Errorf("-folder %s is not empty: name a new one, for it is removed at the end", path)
	}
	return path, err
}
