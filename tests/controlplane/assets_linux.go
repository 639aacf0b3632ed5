//go:build assets

package main

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel kill the command when this process is killed.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
