//go:build !linux

package devstack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// setParentDeathSignal does nothing here: only Linux has it, elsewhere the watchdog does all.
func setParentDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

// commandLine returns what a process was started with, "" where there is no such process.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
