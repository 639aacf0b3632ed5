package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs all certificates of one control plane. It exists as long as the process.
type authority struct {
	dir           string
	caFile        string
	certificate   *x509.Certificate
	key           *ecdsa.PrivateKey
	webhookClient webhookClient
}

// webhookClient is the identity of the API server towards webhooks that ask for a client certificate.
type webhookClient struct {
	CA   string `json:"ca"`
	Name string `json:"name"`
}

// pair is a certificate and its key, as PEM and as files.
type pair struct {
	certificate, key         []byte
	certificateFile, keyFile string
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(pkix.Name{CommonName: "controlplane"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, caFile: filepath.Join(dir, "ca.crt"), key: key}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.webhookClient = webhookClient{CA: a.caFile, Name: "kube-apiserver-webhook-client"}
	return a, os.WriteFile(a.caFile, pemOf("CERTIFICATE", der), 0o600)
}

// sign makes a certificate for a client or for a server on loopback. A client certificate has no addresses.
func (a *authority) sign(file string, name pkix.Name, server bool) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template := template(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if server {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	p := pair{
		certificate:     pemOf("CERTIFICATE", der),
		key:             pemOf("PRIVATE KEY", keyDER),
		certificateFile: filepath.Join(a.dir, file+".crt"),
		keyFile:         filepath.Join(a.dir, file+".key"),
	}
	if err := os.WriteFile(p.certificateFile, p.certificate, 0o600); err != nil {
		return pair{}, err
	}
	return p, os.WriteFile(p.keyFile, p.key, 0o600)
}

func template(name pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // cannot happen: Go documents that its random source never fails
	}
	return &x509.Certificate{
		Subject:      name,
		SerialNumber: serial,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
