namespace Mirror.Limits;

/// <summary>The volume has too little room for what a client announced to send. The store itself works: smaller content can be
/// stored.</summary>
public sealed class NoRoomException(string message) : Exception(message);
