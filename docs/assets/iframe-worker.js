// A page that is opened as a file may start no worker. Here a worker is a hidden frame: the search
// of the theme then works without a server. Pages from a server keep the browser's own workers.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.srcdoc =
        "<script>postMessage = message => parent.postMessage(message, '*')</" + "script>" +
        `<script src="${new URL(url, location.href)}"></` + "script>"
      this.loaded = new Promise(done => this.frame.addEventListener("load", done))
      this.heard = event => {
        if (event.source === this.frame.contentWindow)
          this.dispatchEvent(new MessageEvent("message", { data: event.data }))
      }
      window.addEventListener("message", this.heard)
      document.body.appendChild(this.frame)
    }

    postMessage(message) {
      this.loaded.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: message })))
    }

    terminate() {
      window.removeEventListener("message", this.heard)
      this.frame.remove()
    }
  }
