
namespace Mirror.Bench;

/// <summary>How long to take: a quick run tells the order of things, a full one is for publishing.</summary>
internal sealed record Effort(bool IsFull)
{
    public static Effort Quick { get; } = new(false);

    public static Effort Full { get; } = new(true);

    public int Rounds => IsFull ? 7 : 3;

    public int WrkSeconds => IsFull ? 5 : 2;
}
