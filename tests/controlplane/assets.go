//go:build assets

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// This file runs the released binaries of the folder KUBEBUILDER_ASSETS instead of the libraries of inprocess.go.

func startEtcd(ctx context.Context, dir string) (*process, error) {
	socket := filepath.Join(dir, "etcd.sock")
	etcd, err := start(ctx, "etcd",
		"--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls=unix://"+socket,
		// There are no other members: peers get any free port, and the advertised client URL is never used.
		"--listen-peer-urls=http://127.0.0.1:0",
		"--advertise-client-urls=http://127.0.0.1:0",
		"--log-level=warn",
		"--unsafe-no-fsync",
	)
	if err != nil {
		return nil, err
	}
	etcd.endpoint = "unix://" + socket
	return etcd, nil // the API server waits until etcd is ready
}

func startAPIServer(ctx context.Context, dir, etcd string, pki *authority, more []string) (*process, error) {
	arguments, err := apiServerFlags(dir, etcd, pki)
	if err != nil {
		return nil, err
	}
	// kube-apiserver cannot listen on a port that the system chooses, so another program may take this port first.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil {
		return nil, err
	}
	arguments = append(arguments, fmt.Sprintf("--secure-port=%d", address.Port))
	server, err := start(ctx, "kube-apiserver", append(arguments, more...)...)
	if err != nil {
		return nil, err
	}
	server.address = "https://" + address.String()
	return server, nil
}

// start runs a binary of the assets. The process stops when ctx ends or stop is called, and is killed if it does not
// stop.
func start(ctx context.Context, name string, arguments ...string) (*process, error) {
	folder := os.Getenv("KUBEBUILDER_ASSETS")
	if folder == "" {
		return nil, fmt.Errorf("built with the tag assets: set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, or build without the tag")
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // run stops the processes in order, etcd last
	command := exec.CommandContext(ctx, filepath.Join(folder, name), arguments...)
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopLimit
	endWithParent(command)
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The thread is locked for the life of the command: Linux treats the end of the starting thread as that of the
		// parent.
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			ended <- command.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		cancel()
		return nil, err
	}
	stop := func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(2 * stopLimit):
		}
	}
	return &process{ended: ended, stop: stop}, nil
}
