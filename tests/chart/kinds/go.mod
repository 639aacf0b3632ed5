// The modules that contain the kinds of cert-manager and of the Prometheus operator. No code is imported, so `go mod tidy`
// would remove them: only the files are read.
module scan-admission/tests/chart/kinds

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
