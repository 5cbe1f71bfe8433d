package auth

import (
	"net/http"
	"strings"
	"time"
)

// A browser's tokens live in these cookies. __Host- binds them to this origin: no other host can set them, and no plain connection
// carries them. On an http:// loopback origin there is no such thing, so there they have plain names.
func cookieName(plain bool) string         { return hostCookie("rosetree", plain) }
func fallbackCookieName(plain bool) string { return hostCookie("rosetree-fb", plain) }
func legacyCookieName(plain bool) string   { return hostCookie("rosetree-legacy", plain) }
func refreshCookieName(plain bool) string  { return hostCookie("rosetree-refresh", plain) }
func deviceCookieName(plain bool) string   { return hostCookie("rosetree-device", plain) }

func hostCookie(name string, plain bool) string {
	if plain {
		return name
	}
	return "__Host-" + name
}

func setCookie(w http.ResponseWriter, name, value string, expires time.Time) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires, HttpOnly: true,
		Secure: strings.HasPrefix(name, "__Host-"), SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func dropCookie(w http.ResponseWriter, name string) { setCookie(w, name, "", time.Unix(1, 0)) }

// deviceLife is how long a device that logged in once is known.
const deviceLife = 365 * 24 * time.Hour

// A device cookie says that this device has logged in to this account before. It proves nothing but that, and serves one purpose:
// who guesses an account's password from elsewhere does not use up the tries of the devices of its owner.
func (k keyring) deviceCookie(user UserID, device string) string {
	return device + "." + sign(k.devices[0], string(user)+"\x00"+device)
}

// knownDevice returns the device's id where the cookie was made for this user.
func (k keyring) knownDevice(user UserID, cookie string) (string, bool) {
	device, signature, _ := strings.Cut(cookie, ".")
	if user == "" || len(device) != 16 || !signedBy(k.devices, string(user)+"\x00"+device, signature) {
		return "", false
	}
	return device, true
}
