package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/pkg/controller/namespace"
)

// startControllers runs the only controller that the tests need: the one that deletes the contents of a
// deleted namespace, through our webhook, and then the namespace.
func startControllers(ctx context.Context, config *rest.Config, client kubernetes.Interface) error {
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	controller := namespace.NewNamespaceController(ctx, client, objects,
		client.Discovery().ServerPreferredNamespacedResources,
		factory.Core().V1().Namespaces(), 0, corev1.FinalizerKubernetes)
	factory.Start(ctx.Done())
	go controller.Run(ctx, 5)
	return nil
}
