//go:build !assets

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

func startEtcd(ctx context.Context, dir string) (*process, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.LogLevel = "error"
	config.WarningUnaryRequestDuration = time.Second // the library's default, 0, warns about every request
	config.UnsafeNoFsync = true                      // the data is not kept
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}
	config.ListenClientUrls = []url.URL{client}
	// There are no other members: peers get any free port, and the advertised client URL is never used.
	nowhere := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config.ListenPeerUrls = []url.URL{nowhere}
	config.AdvertisePeerUrls = []url.URL{nowhere}
	config.AdvertiseClientUrls = []url.URL{nowhere}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return &process{endpoint: client.String(), ended: etcd.Err(), stop: etcd.Close}, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(startLimit):
		etcd.Close()
		return nil, fmt.Errorf("not ready within %s", startLimit)
	case <-ctx.Done():
		etcd.Close()
		return nil, context.Cause(ctx)
	}
}

func startAPIServer(ctx context.Context, dir, etcd string, pki *authority, more []string) (*process, error) {
	arguments, err := apiServerFlags(dir, etcd, pki)
	if err != nil {
		return nil, err
	}
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(append(arguments, more...)); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	completed, err := opts.Complete(ctx)
	if err == nil {
		err = utilerrors.NewAggregate(completed.Validate())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, completed)
		close(ended)
	}()
	stop := func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(stopLimit):
		}
	}
	return &process{address: "https://" + listener.Addr().String(), ended: ended, stop: stop}, nil
}
