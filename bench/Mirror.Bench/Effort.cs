
namespace Mirror.Bench;

/// <summary>How long to measure: a quick run gives rough figures, a full run gives figures to publish.</summary>
internal sealed record Effort(bool IsFull)
{
    public static Effort Quick { get; } = new(false);

    public static Effort Full { get; } = new(true);

    public int Rounds => IsFull ? 7 : 3;

    public int WrkSeconds => IsFull ? 5 : 2;
}
