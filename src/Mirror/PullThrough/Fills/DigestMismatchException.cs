namespace Mirror.PullThrough.Fills;

/// <summary>Upstream sent other bytes than the requested digest names.</summary>
public sealed class DigestMismatchException(string message) : IOException(message);
