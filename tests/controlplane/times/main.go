// times prints how Go's Kubernetes clients parse times. For each JSON string on a line of the input, it prints the
// string and its Unix time, or `-` if Go cannot parse it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Fprintf(out, "%s\t%s\n", lines.Text(), read(lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// read parses a time with time.Parse and metav1.Time, which must agree.
func read(line []byte) string {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		log.Fatalf("%s: %v", line, err)
	}
	parsed, parseErr := time.Parse(time.RFC3339, text)
	var decoded metav1.Time
	decodeErr := json.Unmarshal(line, &decoded)
	if (parseErr == nil) != (decodeErr == nil) || parseErr == nil && !parsed.Equal(decoded.Time) {
		log.Fatalf("%s: time.Parse: %v, %v; metav1.Time: %v, %v", line, parsed, parseErr, decoded, decodeErr)
	}
	switch {
	case parseErr != nil:
		return "-"
	case parsed.Nanosecond() == 0:
		return fmt.Sprint(parsed.Unix())
	default:
		return fmt.Sprintf("%d.%09d", parsed.Unix(), parsed.Nanosecond())
	}
}
