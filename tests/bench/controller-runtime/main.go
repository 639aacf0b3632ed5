// controller-runtime is a typical webhook with controller-runtime: it decodes both objects to unstructured, and
// performs three of our checks. `cargo bench` compares it with ours.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func main() {
	ctrl.SetLogger(zap.New())
	decoder := admission.NewDecoder(runtime.NewScheme())
	hook := &webhook.Admission{Handler: admission.HandlerFunc(func(_ context.Context, request admission.Request) admission.Response {
		return validate(decoder, request)
	})}
	handler, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{MetricsPath: "/validate"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/validate", handler)

	pair, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	// The listener has the settings of webhook.NewServer, which cannot listen on a free port that the system chooses.
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		NextProtos:   []string{"h2"},
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return context.Background() },
		Handler:           mux,
		MaxHeaderBytes:    1 << 20,
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
	}
	fmt.Printf("ready: reviews on https://%[1]s (/validate), nothing on http://%[1]s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}

func validate(decoder admission.Decoder, request admission.Request) admission.Response {
	scan := &unstructured.Unstructured{}
	if err := decoder.DecodeRaw(request.Object, scan); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if request.Operation == admissionv1.Update {
		if err := decoder.DecodeRaw(request.OldObject, &unstructured.Unstructured{}); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	if phase, _, err := unstructured.NestedString(scan.Object, "status", "phase"); err != nil {
		return admission.Denied(err.Error())
	} else if !isPhase(phase) {
		return admission.Denied(fmt.Sprintf("status.phase is %q", phase))
	}
	if _, _, err := unstructured.NestedSlice(scan.Object, "status", "conditions"); err != nil {
		return admission.Denied(err.Error())
	}
	var sum int64
	for _, severity := range []string{"critical", "high", "medium", "low", "unknown"} {
		count, _, err := unstructured.NestedInt64(scan.Object, "status", "cveCount", severity)
		if err != nil {
			return admission.Denied(err.Error())
		}
		sum += count
	}
	total, _, err := unstructured.NestedInt64(scan.Object, "status", "cveCount", "total")
	if err != nil {
		return admission.Denied(err.Error())
	}
	if total != sum {
		return admission.Denied(fmt.Sprintf("status.cveCount.total is %d, but the severities add up to %d", total, sum))
	}
	return admission.Allowed("")
}

func isPhase(phase string) bool {
	switch phase {
	case "", "Pending", "Scanning", "Completed", "Failed", "Error":
		return true
	}
	return false
}
