// The search of the theme looks for every word of a query as the beginning of a word. Without this
// "how do I use a GPU" finds each page whose title begins with "a", and "GPU?" finds nothing. Here
// words that are in every text, and marks of sentences, are left out; the ends of words, too:
// "targets" and "drifted" are "target" and "drift". A query with quotes or operators stays as it is.
{
  const COMMON = new Set((
    "a about an and are as at be been but by can could do does for from give had has have how i if " +
    "in into is it its me mean means my need of on or our own should so than that the their them then there " +
    "these they this to use want was we were what when where which who why will with would you your"
  ).split(" "))
  const END = /^(.{3,}?)'?s$|^(.{4,}?)(?:ed|ing|ly)$/

  const words = query => {
    if (/["+:^~*]|(^|\s)-/.test(query)) return query
    const all = query.split(/[\s,;!?()]+/).map(word => word.replace(/^['.]+|['.]+$/g, ""))
    const kept = all.filter(word => word && !COMMON.has(word.toLowerCase()))
    const short = kept.map(word => /ss$/.test(word) ? word : word.replace(END, "$1$2"))
    return short.join(" ") || query
  }

  const QUERY = 2 // the theme's number for messages with a query
  const Worker = window.Worker
  window.Worker = class extends Worker {
    postMessage(message, ...rest) {
      const typed = message?.type === QUERY && typeof message.data === "string"
      super.postMessage(typed ? { ...message, data: words(message.data) } : message, ...rest)
    }
  }
}
